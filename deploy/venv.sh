# Sourced by the two commands of the README: prepare_venv FOLDER REQUIREMENTS

find_python() {
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo 'spendwatch needs Python 3.11 or newer; set PYTHON=/where/it/is' >&2
  exit 1
}

# Installs what the file pins, by hash, and spendwatch itself from this folder; does nothing when that is done already.
prepare_venv() {
  mark=$1/installed-$(basename "$(dirname "$2")")
  if [ -x "$1/bin/python" ] && cmp -s "$2" "$mark"; then
    return
  fi
  python=$(find_python)
  if ! [ -x "$1/bin/python" ]; then
    echo "setting up $1, which takes about half a minute ..." >&2
    "$python" -m venv "$1"
  fi
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$2" >&2
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . >&2
  # Byte code once, here, instead of at the first start.
  "$1/bin/python" -m compileall -q daemon >/dev/null || true
  cp "$2" "$mark"
}
