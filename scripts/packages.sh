# shellcheck shell=bash
# Sourced by test.sh, quickstart.sh and gpu-check.sh.
#
# Debian packages: `need_packages NAME...` installs what is missing, saying so first, and only then needs root or sudo.

# What the program is built with and from.
# shellcheck disable=SC2034
BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libopenblas-dev libhdf5-dev libyaml-dev libjansson-dev
                libpcre2-dev libxxhash-dev libutf8proc-dev)

need_packages() {
    local missing=() name
    for name in "$@"; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            missing+=("$name")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    echo "installing Debian packages: ${missing[*]}"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "error: as root, run: apt-get install ${missing[*]}" >&2
            return 1
        fi
        root=(sudo)
    fi
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
        >/dev/null
}

# The architectures of the GPUs at hand as CMake wants them, "90" or "80;90"; fails where there is none.
gpu_architectures() {
    local capabilities
    capabilities=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader) && [ -n "$capabilities" ] || return 1
    printf '%s\n' "$capabilities" | tr -d . | sort -u | paste -sd ';'
}
