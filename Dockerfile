# syntax=docker/dockerfile:1
# One static binary, no shell, no package manager, an unprivileged user.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /sluice ./cmd/sluice

# Brings the CA certificates, /etc/passwd with nonroot (65532), time zones and /tmp.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /sluice /usr/local/bin/sluice
COPY LICENSE /usr/share/doc/sluice/LICENSE
# 1883 MQTT, 8883 MQTT over TLS, 8083 and 8084 the same over WebSocket, 8080 health and metrics.
EXPOSE 1883 8883 8083 8084 8080
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/sluice"]
CMD ["serve"]
