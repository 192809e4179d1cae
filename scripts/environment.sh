# environment FOLDER REQUIREMENT: a virtual environment that holds the requirement as this checkout has it.
# It is made at the first call and again when pyproject.toml changes. PYTHON chooses the interpreter.
environment() {
  local folder=$1 requirement=$2 stamp
  stamp=$(cksum <"${requirement%%\[*}/pyproject.toml")
  if [ -f "$folder/.ready" ] && [ "$(cat "$folder/.ready")" = "$stamp" ]; then
    return 0
  fi
  "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "dxtree needs Python 3.11 or newer; set PYTHON to one" >&2
    return 1
  }
  echo "setting up $(basename "$folder") (once)" >&2
  "${PYTHON:-python3}" -m venv --clear "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$requirement"
  echo "$stamp" >"$folder/.ready"
}
