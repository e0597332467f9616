# Sourced by launch/serve: how long it waits before a restart, and which restarts it remembers.

# restart_delay N: the seconds before a restart that comes after N others: 1, 2, 4 ... up to 60.
restart_delay() { echo $(($1 < 6 ? 1 << $1 : 60)); }

# within_window NOW WINDOW [TIME ...]: those of the times, in seconds, that are less than WINDOW before NOW, on one line.
within_window() {
  local now=$1 window=$2 kept=() at
  shift 2
  for at in "$@"; do
    [ $((now - at)) -ge "$window" ] || kept+=("$at")
  done
  echo "${kept[*]}"
}
