# shellcheck shell=bash
# Sourced by test.sh, quickstart.sh and gpu-check.sh.
#
# Debian packages: `need_packages NAME...` installs what is missing, saying so first, and only then needs root or sudo.

# What the program is built with and from.
# shellcheck disable=SC2034
BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libopenblas-dev libhdf5-dev libyaml-dev libjansson-dev
                libpcre2-dev libxxhash-dev libutf8proc-dev libglpk-dev zlib1g-dev)

# Those of them that are not installed, a line each.
missing_packages() {
    local name
    for name in "$@"; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            echo "$name"
        fi
    done
}

need_packages() {
    local missing=()
    mapfile -t missing < <(missing_packages "$@")
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

# What a machine needs that has compilers and cmake but neither our libraries nor a network: headers, and the libraries with
# all that they load but for the C library.
DEV_PACKAGES=(libopenblas-pthread-dev libhdf5-dev libyaml-dev libjansson-dev libpcre2-dev libxxhash-dev libutf8proc-dev
              libglpk-dev zlib1g-dev check libsubunit-dev)
LIBRARY_PACKAGES=(libopenblas0-pthread libhdf5-103-1 libyaml-0-2 libjansson4 libpcre2-8-0 libxxhash0 libutf8proc2
                  libglpk40 zlib1g libsubunit0 pkgconf-bin)

# fetch_packages FOLDER: downloads them, on Debian 12.
fetch_packages() {
    local all=()
    mapfile -t all < <({
        printf '%s\n' "${DEV_PACKAGES[@]}"
        apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
            --no-enhances "${LIBRARY_PACKAGES[@]}" | grep -E '^[a-z]'
    } | grep -vxE 'libc6|libgcc-s1|libstdc\+\+6|gcc-12-base|libcrypt1' | sort -u)
    mkdir -p "$1" && (cd "$1" && apt-get download -qq "${all[@]}" && du -sh .)
}

# use_packages FOLDER ROOT: unpacks them below ROOT, and points pkg-config, cmake and the linker there. Programs find their
# libraries by the path that the linker writes into them (the old kind of path, which holds for libraries of libraries,
# too).
use_packages() {
    local deb library=$2/usr/lib/x86_64-linux-gnu
    mkdir -p "$2" || return 1
    for deb in "$1"/*.deb; do
        dpkg-deb -x "$deb" "$2" || return 1
    done
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/usr/bin/pkgconf "$@"\n' "$library" "$2" >"$2/pkg-config"
    chmod +x "$2/pkg-config"
    export PKG_CONFIG=$2/pkg-config PKG_CONFIG_SYSROOT_DIR=$2 CMAKE_LIBRARY_PATH=$library
    export PKG_CONFIG_LIBDIR=$library/pkgconfig:$library/openblas-pthread/pkgconfig
    export CFLAGS="-I$2/usr/include" CXXFLAGS="-I$2/usr/include" CUDAFLAGS="-I$2/usr/include"
    export LDFLAGS="-Wl,--disable-new-dtags,-rpath,$library:$library/openblas-pthread:$2/lib/x86_64-linux-gnu"
}

# The architectures of the GPUs at hand as CMake wants them, "90" or "80;90"; fails where there is none.
gpu_architectures() {
    local capabilities
    capabilities=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader) && [ -n "$capabilities" ] || return 1
    printf '%s\n' "$capabilities" | tr -d . | sort -u | paste -sd ';'
}
