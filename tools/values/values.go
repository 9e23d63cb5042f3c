package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value is one of the chart's values, or what groups them.
type value struct {
	name        string
	description string
	content     any
	// rule is the value's JSON schema, but for what is said of children.
	rule map[string]any
	// children are the values in it, in the order of the file; nil where the rule says all of what may be in it.
	children []*value
}

// marker begins the comment line that holds, as YAML, what the schema says of a value beyond its type.
const marker = "@schema "

// parse reads values.yaml. The error names the value that lacks a comment or a rule.
func parse(text []byte) (*value, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("no mapping of values")
	}
	root := &value{rule: map[string]any{"type": "object"}}
	if err := root.readChildren("", document.Content[0]); err != nil {
		return nil, err
	}
	return root, nil
}

func (v *value) readChildren(path string, node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		child := &value{name: key.Value}
		if err := child.read(path+key.Value, key.HeadComment, node.Content[i+1]); err != nil {
			return err
		}
		v.children = append(v.children, child)
	}
	return nil
}

// read reads one value. Only the last paragraph of the comment is about it: one before is about the file.
func (v *value) read(path, comment string, node *yaml.Node) error {
	if err := node.Decode(&v.content); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	extra, err := v.readComment(comment[strings.LastIndex(comment, "\n\n")+1:])
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	isGroup := node.Kind == yaml.MappingNode && extra == nil
	switch {
	case isGroup && len(node.Content) == 0, node.Kind == yaml.SequenceNode && extra == nil:
		return fmt.Errorf("%s: its default does not say what may be in it: add a line # %s{...}", path, marker)
	case !isGroup && v.description == "":
		return fmt.Errorf("%s: no comment says what it is", path)
	}
	kind, err := kindOf(node)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v.rule = map[string]any{"type": kind}
	maps.Copy(v.rule, extra)
	if v.description != "" {
		v.rule["description"] = v.description
	}
	if isGroup {
		return v.readChildren(path+".", node)
	}
	v.rule["default"] = v.content
	return nil
}

// readComment keeps the description, and returns what the marker says.
func (v *value) readComment(comment string) (map[string]any, error) {
	var words []string
	var extra map[string]any
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#"))
		rule, found := strings.CutPrefix(line, marker)
		if !found {
			words = append(words, line)
			continue
		}
		if err := yaml.Unmarshal([]byte(rule), &extra); err != nil {
			return nil, fmt.Errorf("read what follows @schema: %w", err)
		}
	}
	v.description = strings.TrimSpace(strings.Join(words, " "))
	return extra, nil
}

func kindOf(node *yaml.Node) (string, error) {
	kinds := map[string]string{
		"!!map": "object", "!!seq": "array", "!!str": "string", "!!int": "integer", "!!float": "number", "!!bool": "boolean",
	}
	kind, known := kinds[node.ShortTag()]
	if !known {
		return "", fmt.Errorf("a default of type %s has no type in a schema", node.ShortTag())
	}
	return kind, nil
}

// schema is the JSON schema, draft 7, of which helm says what a value breaks. Helm itself adds the value global.
func schema(root *value) (string, error) {
	top := root.schema()
	top["$schema"], top["title"] = "http://json-schema.org/draft-07/schema#", "Values of the chart"
	top["properties"].(map[string]any)["global"] = map[string]any{"type": "object"}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(top)
	return b.String(), err
}

// schema is the rule with those of the children; what is none of them is refused.
func (v *value) schema() map[string]any {
	out := maps.Clone(v.rule)
	if v.children == nil {
		return out
	}
	properties := map[string]any{}
	for _, child := range v.children {
		properties[child.name] = child.schema()
	}
	out["properties"], out["additionalProperties"] = properties, false
	return out
}

// compact is a value on one line.
func compact(content any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(content)
	return strings.TrimSpace(b.String()), err
}
