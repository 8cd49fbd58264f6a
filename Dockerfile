# PrivFace's backend. Build: docker build -t privface .    with extras: --build-arg EXTRAS="dlib tensorflow"
FROM python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285 AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/privface

FROM base AS build
ARG EXTRAS=""
ENV PIP_NO_CACHE_DIR=1 \
    UV_NO_CACHE=1 \
    UV_COMPILE_BYTECODE=1
COPY LICENSE ./
COPY scripts/install scripts/python scripts/
COPY backend backend
# The same line as in scripts/run, at the place where the image keeps it: an environment cannot be moved.
# shellcheck disable=SC2086  # EXTRAS is a list of words
RUN scripts/install .venv ${EXTRAS} \
    && .venv/bin/python -m compileall -q backend/privface_backend \
    && rm -rf .cache

FROM base
LABEL org.opencontainers.image.title="PrivFace backend" \
      org.opencontainers.image.description="Private face recognition for the home" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 privface \
    && useradd --uid 10001 --gid privface --no-create-home --home-dir /data --shell /usr/sbin/nologin privface \
    && install -d -o privface -g privface -m 0700 /data /config
COPY --from=build /opt/privface /opt/privface
# Keys and configuration lie apart from the data that they protect.
ENV PATH=/opt/privface/.venv/bin:$PATH \
    MALLOC_ARENA_MAX=2 \
    PRIVFACE_DATA_DIR=/data \
    PRIVFACE_MODELS_DIR=/data/models \
    PRIVFACE_SERVER__HOST=0.0.0.0 \
    XDG_CONFIG_HOME=/config
USER 10001:10001
VOLUME ["/config", "/data"]
EXPOSE 8090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PRIVFACE_SERVER__PORT\", 8090)}/healthz', timeout=4)"]
ENTRYPOINT ["privface"]
CMD ["serve"]
