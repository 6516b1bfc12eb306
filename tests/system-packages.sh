#!/usr/bin/env bash
# What tests need from the system: a library that draws off-screen, and a browser. Without them the tests that need them
# are skipped.
wanted=()
ldconfig -p | grep -q 'libOSMesa\|libEGL' || wanted+=(libosmesa6)
command -v chromium > /dev/null || wanted+=(chromium)
if [ ${#wanted[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        (apt-get update && apt-get install --yes --no-install-recommends "${wanted[@]}") > /dev/null 2>&1 ||
            echo "make: ${wanted[*]} could not be installed; tests that draw pixels or open a browser will be skipped"
    else
        echo "make: tests that draw pixels or open a browser will be skipped (apt install ${wanted[*]})"
    fi
fi
