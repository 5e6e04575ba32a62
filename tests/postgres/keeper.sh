# Runs a private PostgreSQL server until standard input ends, then stops it and removes its folder.
# keeper.sh BIN PARENT [SETTING…]: the folder of initdb and pg_ctl, where to make the server's folder, lines of postgresql.conf.
# Prints the folder, which is also that of its socket, when the server takes connections.
set -eu
# Whoever interrupts the tests ends them first; then standard input ends.
trap '' INT TERM HUP
bin=$1
folder=$(mktemp -d "$2/herald-postgres.XXXXXX")
shift 2
if "$bin/initdb" --pgdata "$folder/data" --username postgres --auth trust --encoding UTF8 --locale C --no-sync \
    >"$folder/log" 2>&1 &&
    printf '%s\n' "unix_socket_directories = '$folder'" "listen_addresses = ''" "max_connections = 400" "$@" \
        >>"$folder/data/postgresql.conf" &&
    "$bin/pg_ctl" start --wait --silent --pgdata "$folder/data" --log "$folder/log" >>"$folder/log" 2>&1; then
    echo "$folder"
    cat >/dev/null
else
    cat "$folder/log" >&2
fi
"$bin/pg_ctl" stop --silent --mode immediate --pgdata "$folder/data" >/dev/null 2>&1 || :
rm -rf "$folder"
