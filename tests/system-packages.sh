#!/usr/bin/env bash
# What tests need from the system: a library that draws off-screen, and a browser. Without them the tests that need them
# are skipped.
wanted=()
ldconfig -p | grep -q 'libOSMesa\|libEGL' || wanted+=(libosmesa6)
command -v chromium > /dev/null || wanted+=(chromium)
if [ ${#wanted[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get update > /dev/null 2>&1
        for package in "${wanted[@]}"; do # one by one: a package that is not to be had keeps no other back
            apt-get install --yes --no-install-recommends "$package" > /dev/null 2>&1 ||
                echo "make: $package could not be installed; tests that draw pixels or open a browser will be skipped"
        done
    else
        echo "make: tests that draw pixels or open a browser will be skipped (apt install ${wanted[*]})"
    fi
fi
