# docker build -t fulcrum . && mkdir -p runs
# docker run --rm --user "$(id -u)" -v "$PWD/runs:/srv/fulcrum" fulcrum run data=digits
# All packages are pinned with hashes; at run time nothing is fetched but data sets that are asked for by name.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 fulcrum && mkdir /srv/fulcrum && chown fulcrum /srv/fulcrum
WORKDIR /opt/fulcrum
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY --chown=root:root conf conf
COPY --chown=root:root pipeline pipeline
RUN python -m compileall -q pipeline

ENV MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_TRACKING_URI=sqlite:////srv/fulcrum/mlflow.db \
    FULCRUM_DATA=/srv/fulcrum/data \
    FULCRUM_CACHE=/srv/fulcrum/prepared \
    PYTHONUNBUFFERED=1
USER fulcrum
VOLUME /srv/fulcrum
EXPOSE 5000
ENTRYPOINT ["python", "-m", "pipeline"]
CMD ["--help"]
