#!/usr/bin/env bash
# Makes sure that the Debian packages a napari window needs are there.
#
#   scripts/system_libraries.sh require   as root installs what is missing; anyone else gets a list and an error
#   scripts/system_libraries.sh advise    the same, but what cannot be installed is a warning only
#
# PYTHON names the interpreter that will make the virtual environment.
set -euo pipefail

mode="${1:-require}"
python="${PYTHON:-python3}"

# What Qt's xcb platform, OpenGL without a GPU and a virtual display need on a bare Debian 12.
# Without libxcb-icccm4 or libxcb-keysyms1 Qt aborts, without libgl1-mesa-dri the canvas stays blank.
packages=(
    xvfb xauth libgl1 libgl1-mesa-dri libegl1 libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon-x11-0
    libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-image0 libxcb-render-util0 libxcb-shape0 libxcb-xkb1
    libxcb-randr0 fonts-dejavu-core
)

give_up() {
    echo "$1" >&2
    if [[ "$mode" == advise ]]; then exit 0; fi
    exit 1
}

if ! command -v dpkg-query >/dev/null; then
    if [[ "$(uname -s)" == Linux ]] && ! command -v xvfb-run >/dev/null; then
        give_up "Not a Debian system: please install Xvfb (xvfb-run), OpenGL and the xcb libraries of Qt yourself."
    fi
    exit 0
fi

# Debian keeps ensurepip, which python3 -m venv needs, in a package of its own.
if ! "$python" -c "import ensurepip" 2>/dev/null; then packages+=(python3-venv); fi

is_installed() {
    # Newer releases call some of them, say, libglib2.0-0t64. Unknown names make dpkg-query fail: not an answer.
    local statuses
    statuses="$(dpkg-query -W -f '${db:Status-Status} ' "$1" "$1t64" 2>/dev/null || true)"
    [[ " $statuses" == *" installed "* ]]
}

missing=()
for package in "${packages[@]}"; do
    if ! is_installed "$package"; then missing+=("$package"); fi
done
if [[ ${#missing[@]} -eq 0 ]]; then exit 0; fi

command="apt-get install -y --no-install-recommends ${missing[*]}"
if [[ "$(id -u)" -ne 0 ]]; then
    give_up "Missing system libraries: ${missing[*]}
Install them with:  sudo apt-get update && sudo $command"
fi

echo "Installing system libraries: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! { apt-get update -qq && $command -qq; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    give_up "Could not install: ${missing[*]} (command: $command)"
fi
