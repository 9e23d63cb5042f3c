# The image of snapshot-group for those who have a Docker daemon. `make image` assembles the same content without one; a test in
# build/image holds the two together, one in e2e/image builds both.
ARG BUILD_IMAGE=golang:1.26
ARG BASE_IMAGE=scratch

FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY pkg pkg
COPY certs certs
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/all-in-one

FROM ${BASE_IMAGE}
ARG VERSION=dev
COPY build/image/rootfs /
COPY --from=build /out/all-in-one /all-in-one
USER 65532:65532
ENTRYPOINT ["/webhook"]
LABEL org.opencontainers.image.title="snapshot-group"
LABEL org.opencontainers.image.source="https://github.com/snapshot-group/snapshot-group"
LABEL org.opencontainers.image.licenses="Apache-2.0"
LABEL org.opencontainers.image.version="$VERSION"
