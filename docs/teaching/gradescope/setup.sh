#!/usr/bin/env bash
# Runs once, when Gradescope builds the container: what submissions are built and run with.
set -eu
apt-get update
apt-get install -y gcc make python3
install -m 755 /autograder/source/lab /usr/local/bin/lab
