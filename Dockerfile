# rsdetect on processors, with 8-bit networks:
#   docker build -t rsdetect .
#   docker run --rm -v "$PWD:/data" rsdetect detect before.tif after.tif --out result
FROM python:3.12.12-slim-bookworm

# GDAL in rasterio's wheels loads the system's expat. Debian keeps one version of it at a time.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 rsdetect \
    && install --directory --owner 1000 --group 1000 /data

WORKDIR /src
COPY pyproject.toml requirements.lock requirements-torch.lock README.md LICENSE ./
# The public index of PyTorch for processors: the default build brings 4.5 GB of CUDA.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch==2.13.0
COPY rsdetect ./rsdetect
# pip verifies no hashes of an installation that includes a folder, so only the versions are taken.
RUN sed -n 's/^\([^ ]*==[^ ]*\).*/\1/p' requirements.lock requirements-torch.lock > versions.txt \
    && pip install --no-cache-dir --constraint versions.txt ".[cluster,cpu,monitor,serve]"

USER 1000
WORKDIR /data
ENTRYPOINT ["rsdetect"]
CMD ["--help"]
