package main

import (
	"strings"
	"testing"
)

const commented = `# About the file.

# How many.
# @schema {minimum: 1}
replicas: 2

image:
  # Where it is:
  # a | b.
  name: ""
# For two.
both:
  # May it?
  enabled: false
# Any labels.
# @schema {additionalProperties: {type: string}}
labels:
  a: b
`

func TestTheSchemaSaysWhatTheCommentsAndDefaultsSay(t *testing.T) {
	root, err := parse([]byte(commented))
	if err != nil {
		t.Fatal(err)
	}
	got, err := schema(root)
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "additionalProperties": false,
  "properties": {
    "both": {
      "additionalProperties": false,
      "description": "For two.",
      "properties": {
        "enabled": {
          "default": false,
          "description": "May it?",
          "type": "boolean"
        }
      },
      "type": "object"
    },
    "global": {
      "type": "object"
    },
    "image": {
      "additionalProperties": false,
      "properties": {
        "name": {
          "default": "",
          "description": "Where it is: a | b.",
          "type": "string"
        }
      },
      "type": "object"
    },
    "labels": {
      "additionalProperties": {
        "type": "string"
      },
      "default": {
        "a": "b"
      },
      "description": "Any labels.",
      "type": "object"
    },
    "replicas": {
      "default": 2,
      "description": "How many.",
      "minimum": 1,
      "type": "integer"
    }
  },
  "title": "Values of the chart",
  "type": "object"
}
`
	if got != want {
		t.Errorf("schema:\n%s\nwant:\n%s", got, want)
	}
}

func TestTheReadmeHasARowForEachValue(t *testing.T) {
	root, err := parse([]byte(commented))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readme("before\n"+begin+"| old |\n"+end+"after\n", root)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + begin + `
| value | what it is | default |
|---|---|---|
| ` + "`replicas` | How many. | `2`" + ` |
| ` + "`image.name` | Where it is: a \\| b. | `\"\"`" + ` |
| ` + "`both` | For two. | " + ` |
| ` + "`both.enabled` | May it? | `false`" + ` |
| ` + "`labels` | Any labels. | `{\"a\":\"b\"}`" + ` |

` + end + "after\n"
	if got != want {
		t.Errorf("README:\n%s\nwant:\n%s", got, want)
	}
}

func TestWhatSaysTooLittleIsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ values, want string }{
		"a value without a comment": {"a:\n  b: 1\n", "a.b: no comment says what it is"},
		"an empty map without a rule": {"# Labels.\na: {}\n",
			"a: its default does not say what may be in it: add a line # @schema {...}"},
		"a list without a rule":    {"# Labels.\na: [1]\n", "a: its default does not say what may be in it: add a line # @schema {...}"},
		"a rule that is no YAML":   {"# A.\n# @schema {\na: 1\n", "a: read what follows @schema: "},
		"a value without a type":   {"# A.\na: null\n", "a: a default of type !!null has no type in a schema"},
		"a list instead of values": {"[]\n", "no mapping of values"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]byte(tc.values))
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
	if _, err := readme("no table", &value{}); err == nil || err.Error() != "the lines that enclose the table are missing from the README" {
		t.Errorf("error of a README without a place for the table: %v", err)
	}
}
