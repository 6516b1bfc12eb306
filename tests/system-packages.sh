#!/usr/bin/env bash
# What tests need from the system: a library that draws off-screen. Without it the tests that draw are skipped.
if ! ldconfig -p | grep -q 'libOSMesa\|libEGL'; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        (apt-get update && apt-get install --yes --no-install-recommends libosmesa6) > /dev/null 2>&1 ||
            echo "make: libosmesa6 could not be installed; tests that draw pixels will be skipped"
    else
        echo "make: no OSMesa and no EGL here; tests that draw pixels will be skipped (apt install libosmesa6)"
    fi
fi
