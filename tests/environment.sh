# Sourced by samples/check, tests/run and .ci/run: `environment [EXTRA]` makes a virtual environment with flowcheck in it,
# once, and puts its programs first on PATH. Works as root or not; asks for nothing. FLOWCHECK_VENV names another place.

say() { printf '%s\n' "$*" >&2; }
fail() { say "flowcheck set-up: $*"; exit 2; }

root_may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

apt_install() {   # quietly, with the lists fetched first where there are none
  say "flowcheck set-up: installing $* (apt)"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1 && return
  apt-get update -q >/dev/null 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1
}

recent_python() {   # the first interpreter of 3.11 or later; it is run, because a name on PATH may lead nowhere
  local name
  for name in python3 python3.11 python3.12 python3.13 python3.14; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s' "$name"
      return
    fi
  done
  return 1
}

make_venv() {   # make_venv PYTHON DIRECTORY
  local version
  version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  if ! "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    if root_may_install; then
      apt_install "python$version-venv" || apt_install python3-venv || true
    elif command -v virtualenv >/dev/null 2>&1; then
      virtualenv -q -p "$1" "$2"
      return
    fi
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
      fail "Python $version cannot make virtual environments here. Run: sudo apt-get install python$version-venv"
  fi
  "$1" -m venv "$2"
}

environment() {   # environment [EXTRA]
  local extra=${1:-} venv=${FLOWCHECK_VENV:-$top/.venv} stamp wanted python
  wanted="$extra $(cat "$top/pyproject.toml" "$top/flowcheck/capture/_lanes.c" | cksum)"
  stamp="$venv/.flowcheck${extra:+-$extra}"
  if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    python=$(recent_python) || {
      if root_may_install; then apt_install python3 || true; recent_python >/dev/null || apt_install python3.11 || true; fi
      python=$(recent_python) || fail "Python 3.11 or later is needed. Run: sudo apt-get install python3.11 python3.11-venv"
    }
    say "flowcheck set-up: virtual environment in $venv"
    make_venv "$python" "$venv" || fail "the virtual environment in $venv could not be made; is the folder writable?"
  fi
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "flowcheck set-up: installing flowcheck and what it needs (once)"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -e "$top${extra:+[$extra]}" ||
      fail "pip could not install what pyproject.toml lists; its message is above"
    printf '%s' "$wanted" > "$stamp"
  fi
  PATH="$venv/bin:$PATH"
  export PATH
}

optional_parts() {   # says which optional programs are missing and what that costs
  command -v tshark >/dev/null 2>&1 ||
    say "not installed: tshark. Costs: no second opinion by Wireshark, and its tests are skipped. (apt-get install tshark)"
  browser >/dev/null ||
    say "not installed: chromium. Costs: the tests that open a report in a browser are skipped. (apt-get install chromium)"
}

object_store() {   # the S3 server of the tests and what speaks to it, once
  has_object_store && return
  python -m pip install -q --disable-pip-version-check --retries 1 -r "$top/tests/s3.txt" >/dev/null 2>&1 && has_object_store && return
  say "not installed: moto and s3fs. Costs: the test of captures in object stores is skipped. (pip install -r tests/s3.txt)"
}

has_object_store() {
  python -c 'import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, ("s3fs", "moto", "flask_cors"))))'
}

axe() {   # the accessibility checker that reports are tested with, once; an npm package, not a Python one
  local place=${FLOWCHECK_VENV:-$top/.venv}/share/axe-core work
  [ -s "$place/axe.min.js" ] && return
  work=$(mktemp -d)
  if command -v npm >/dev/null 2>&1 && (cd "$work" && npm pack --silent axe-core@4 && tar -xzf axe-core-*.tgz) >/dev/null 2>&1; then
    mkdir -p "$place" && cp "$work/package/axe.min.js" "$place/"
  else
    say "not installed: axe-core (npm). Costs: the accessibility test of reports is skipped."
  fi
  rm -rf "$work"
}

browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
