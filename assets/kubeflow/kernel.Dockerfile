# A Jupyter kernel with an environment of its own: its packages are too old to live beside JupyterLab.
# Every package is pinned, so pip looks for none of its own (--no-deps). The user of the base image owns /opt/conda.
ARG BASE
FROM ${BASE}
ARG MODULE
ARG NAME
COPY requirements.txt /usr/local/share/kfinstall/requirements.txt
RUN python3 -m venv /opt/conda/kernels/${NAME} \
 && /opt/conda/kernels/${NAME}/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps \
      --requirement /usr/local/share/kfinstall/requirements.txt \
 && /opt/conda/kernels/${NAME}/bin/python -W ignore -c "import ${MODULE}" \
 && /opt/conda/kernels/${NAME}/bin/python -m ipykernel install --prefix /opt/conda --name ${NAME} --display-name "Python 3 (${NAME})"
