# One image with all the binaries; the command picks one.

FROM rust:1.95-slim-trixie AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The image's own toolchain: the one that rust-toolchain.toml names, without the components a build has no use for.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bins \
    && mkdir /out \
    && cp target/release/producer target/release/loader target/release/consumer target/release/query-api /out/

FROM debian:trixie-slim
# curl asks for health; OpenSSL and the certificates are for managed brokers and databases.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libssl3t64 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home tally
COPY --from=build /out/ /usr/local/bin/
USER tally
