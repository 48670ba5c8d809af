#!/bin/sh
# The main job on the examples: snapshot, verify, verdict. No root; everything in demo-out/ and .venv/.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=demo-out
say() { printf '\n== %s\n' "$*"; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
  echo "Python 3.10 or newer is needed, $python is older: make demo PYTHON=python3.11" >&2
  exit 1
}
"$python" -c 'import venv, ensurepip' 2>/dev/null || {
  echo "Python has no venv module: apt install python3-venv" >&2
  exit 1
}

environment() { # folder, what pip is to install...
  folder=$1
  shift
  # Whatever is there already stays: one that was half made is completed.
  "$folder/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

say "installing repro into .venv"
environment .venv -e . # as `make test` does, so that neither leaves the other an old copy
repro=$PWD/.venv/bin/repro
"$repro" doctor || { echo "this machine cannot verify: see the mends above" >&2; exit 6; }

say "installing the analyses' own packages into $out/env (numpy, pandas, matplotlib, ipykernel)"
mkdir -p "$out"
environment "$out/env" -r examples/requirements.txt
env=$PWD/$out/env/bin

round() { # name, folder, command...
  name=$1 folder=$2
  shift 2
  say "$name: repro snapshot $*"
  PATH="$env:$PATH" "$repro" snapshot -C "$folder" -o "$out/$name.repro" "$@"
  say "$name: repro verify $out/$name.repro"
  "$repro" verify "$out/$name.repro" --report "$out/$name.html"
}

round fire-ants examples/fire-ants -- python analysis.py
round notebook examples/notebook paper.ipynb
if ! command -v cc >/dev/null; then
  say "c-awk: skipped, there is no C compiler (apt install gcc libc6-dev)"
elif ! command -v awk >/dev/null; then
  say "c-awk: skipped, there is no awk (apt install gawk)"
else
  round c-awk examples/c-awk
fi
if command -v Rscript >/dev/null; then
  round r-lm examples/r-lm -- Rscript analysis.R
  round two-languages examples/two-languages
else
  say "r-lm and two-languages: skipped, Rscript is not installed (apt install r-base-core)"
fi

say "done: archives and reports are in $PWD/$out"
ls -l "$out"/*.repro "$out"/*.html
