# docker build -t fulcrum . && docker run --rm -v "$PWD/work:/work" fulcrum run data=digits
# All packages are pinned with hashes; at run time nothing is fetched but data sets that are asked for by name.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 fulcrum && mkdir /work && chown fulcrum /work
WORKDIR /opt/fulcrum
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt && python -m compileall -q /usr/local/lib/python3.12/site-packages || true
COPY --chown=root:root conf conf
COPY --chown=root:root pipeline pipeline

ENV MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_TRACKING_URI=sqlite:////work/mlflow.db \
    FULCRUM_DATA=/work/data \
    FULCRUM_CACHE=/work/prepared \
    PYTHONUNBUFFERED=1
USER fulcrum
VOLUME /work
EXPOSE 5000
ENTRYPOINT ["python", "-m", "pipeline"]
CMD ["--help"]
