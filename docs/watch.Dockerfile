# `wrangler-forensics watch` in a container beside those that it watches; docs/watch.md has how.
FROM python:3.12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends tcpdump gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY . /opt/wrangler-forensics
RUN pip install --no-cache-dir -c /opt/wrangler-forensics/constraints.txt '/opt/wrangler-forensics[watch]'
VOLUME /kept
ENTRYPOINT ["wrangler-forensics", "watch", "--keep", "/kept"]
