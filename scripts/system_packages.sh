#!/bin/sh
# Sees to what pip cannot install: Python with venv and headers, a compiler, off-screen OpenGL.
# Usage: system_packages.sh PYTHON
set -eu
PATH=$PATH:/usr/sbin:/sbin  # ldconfig, for who is not root
python=$1
missing=""

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version=""
case $version in
    3.10 | 3.11 | 3.12 | 3.13)
        "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
        "$python" -c 'import os, sysconfig
os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null ||
            missing="$missing python3-dev"
        ;;
    "")
        if [ "$python" != python3 ]; then
            echo "$python was not found: name another one, as in \`make test PYTHON=python3\`" >&2
            exit 2
        fi
        missing="$missing python3 python3-dev python3-venv"
        ;;
    *)
        echo "$python is Python $version, and ROS 2 exists for 3.10 to 3.13:" \
            "name another one, as in \`make test PYTHON=python3.12\`" >&2
        exit 2
        ;;
esac

for compiler in "${CC:-cc}" "${CXX:-c++}"; do
    command -v "${compiler%% *}" >/dev/null || { missing="$missing g++" && break; }
done
ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1' || missing="$missing libegl1"
find /usr/lib -name 'swrast_dri.so' -o -name 'libgallium*.so' 2>/dev/null | grep -q . ||
    missing="$missing libgl1-mesa-dri"

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "Missing on this system:$missing (names as on Debian):" \
        "install them with your package manager, then run make again" >&2
    exit 2
elif [ "$(id -u)" != 0 ]; then
    echo "Missing on this system:$missing." \
        "Run \`sudo apt-get install$missing\`, then make again" >&2
    exit 2
fi
apt-get update -q
# shellcheck disable=SC2086  # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
