#!/bin/sh
# --bootstrap-server HOST:PORT: asks the broker for its versions, as the program of this name does.
exec python3 -c 'import sys, kafka_probe
host, _, port = sys.argv[2].rpartition(":")
sys.exit(not kafka_probe.answers(host, int(port)))' "$@"
