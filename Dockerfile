# The image, for those who have a container engine (`hack/image` builds the same one without it):
#   docker build -t sftp-operator:dev .
#   docker buildx build --platform linux/amd64,linux/arm64 -t … .

# The compiler runs on the builder's own architecture and cross-compiles: no emulation for multi-arch builds.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS=linux
ARG TARGETARCH
WORKDIR /src

# The requirements first: this layer is rebuilt only when they change, not on every edit.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/manager ./cmd/sftpd

FROM gcr.io/distroless/static:nonroot
COPY --from=build /out/manager /out/sftpd /
USER 65532:65532
# The listener's pods set `command: [/sftpd]`.
ENTRYPOINT ["/manager"]
