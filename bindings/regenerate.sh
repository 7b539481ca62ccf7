#!/bin/sh
# Generates the Java binding of the C ABI with the jextract of the PATH.
#
#   bindings/regenerate.sh            rewrites the committed classes
#   bindings/regenerate.sh --check    compares them with a fresh generation; exit 1 if they differ
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
header=native/include/featurepool/featurepool.h
sources=bindings/src/main/java
package=org/featurepool/bindings/ffi

case "${1-}" in
  "" | --check) ;;
  *)
    echo "usage: bindings/regenerate.sh [--check]; not '$1'" >&2
    exit 2
    ;;
esac
command -v jextract >/dev/null || {
  echo "bindings/regenerate.sh: no jextract on the PATH; see https://jdk.java.net/jextract/" >&2
  exit 2
}

# From the root and with relative paths, so that no path of this machine can reach the classes.
cd "$root"
jextract --version

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
jextract @bindings/jextract.args --output "$fresh" "$header"

if [ "${1-}" = --check ]; then
  diff -ru "$sources/$package" "$fresh/$package" || {
    echo "The binding is not what $header generates: run bindings/regenerate.sh" >&2
    exit 1
  }
else
  rm -rf "${sources:?}/$package"
  mkdir -p "$sources/$package"
  cp "$fresh/$package"/*.java "$sources/$package/"
fi
