#!/bin/sh
# PostgreSQL inserts the rows of `sync_load writers` over loopback, from as many connections: each
# waits for every commit. Needs Debian's package postgresql, and runs a server of its own.
#
#     benches/network/postgresql.sh [SECONDS]
set -eu
seconds=${1:-10}
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
folder=$(mktemp -d)
# PostgreSQL refuses to run as the superuser.
run() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }
[ "$(id -u)" != 0 ] || chown postgres "$folder"
finish() { run "$bin/pg_ctl" --pgdata "$folder/data" --mode immediate stop > "$folder/stop.log" || true; rm -r "$folder"; }
trap finish EXIT
cd "$folder"
run "$bin/initdb" --pgdata data --auth trust > initdb.log
port=$((20000 + $$ % 20000))
run "$bin/pg_ctl" --pgdata data --log log --wait \
    --options "-p $port -k $folder -c max_connections=200 -c listen_addresses=127.0.0.1" start > start.log
sql() { run "$bin/psql" --host 127.0.0.1 --port "$port" --quiet --no-align --tuples-only postgres --command "$1"; }
sql 'create table entries (database int, client int, seq bigserial, body bytea, primary key (database, seq))'
echo '\set database random(1, :databases)
insert into entries (database, client, body) values (:database, :client_id, decode(repeat($$78$$, 100), $$hex$$));' > insert.sql
chmod a+r insert.sql
for databases in 1 100; do
    run "$bin/pgbench" --no-vacuum --host 127.0.0.1 --port "$port" --client 100 --jobs 2 \
        --time "$seconds" --define "databases=$databases" --protocol prepared --file insert.sql postgres 2> pgbench.log |
        awk -v databases="$databases" '/latency average/ { latency = $4 } /^tps/ { print "PostgreSQL, " databases " databases: " int($3) " rows/s, mean " latency " ms" }'
done
sql "select 'fsync = ' || current_setting('fsync') || ', synchronous_commit = ' || current_setting('synchronous_commit')"
