# An extension of JupyterLab, beside it in the image's own conda environment: its service starts /opt/conda/bin/jupyter.
# Every package is pinned, so pip looks for none of its own (--no-deps). The user of the base image owns /opt/conda.
ARG BASE
FROM ${BASE}
ARG MODULE
COPY requirements.txt /usr/local/share/kfinstall/requirements.txt
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-deps --requirement /usr/local/share/kfinstall/requirements.txt \
 && python3 -c "import ${MODULE}" \
 && /opt/conda/bin/jupyter lab --version
