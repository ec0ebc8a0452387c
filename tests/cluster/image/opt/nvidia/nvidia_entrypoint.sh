#!/bin/bash
# Plays the entrypoint of NVIDIA's images: a banner, then the command.
echo "== nel-test stand-in for an NVIDIA image =="
exec "$@"
