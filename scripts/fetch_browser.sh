#!/usr/bin/env bash
# Fetches Debian's Chromium without a window into .tools/browser, with a font and with those of its
# libraries that this machine lacks. Nothing is installed, and nobody has to be root.
set -euo pipefail
cd "$(dirname "$0")/.."

rm -rf .tools/browser
mkdir -p .tools/browser/fetched
cd .tools/browser
lacking=$(apt-get install --simulate --no-install-recommends chromium-headless-shell |
  sed -n 's/^Inst \([^ ]*\) .*/\1/p')
(
  cd fetched
  # shellcheck disable=SC2086 # names of packages have no spaces
  printf '%s\n' chromium-headless-shell chromium-common fonts-dejavu-core $lacking |
    sort -u | xargs apt-get download -qq
  for package in *.deb; do dpkg -x "$package" ..; done
)
rm -r fetched

# One font for all machines, so that a page is as wide on each of them.
cat >fonts.conf <<'XML'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
XML
cat >begin <<'SH'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
libraries=$(find "$here/usr/lib" "$here/lib" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:)
export LD_LIBRARY_PATH="$libraries" FONTCONFIG_FILE="$here/fonts.conf"
exec "$here/usr/lib/chromium/chromium-headless-shell" "$@"
SH
chmod +x begin
./begin --version
mv begin chromium # what does not run is not there
