# The lectures in JupyterLab:  docker build --tag ddrm-edu . && docker run -p 8888:8888 ddrm-edu
# Written where no Docker daemon was at hand: its steps were tried one by one, the file was not.
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home student \
    && install --directory --owner=student /course

WORKDIR /course
COPY --chown=student:student . .
RUN pip install --no-cache-dir --requirement .binder/requirements.txt

USER student
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "lectures"]
