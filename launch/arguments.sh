# Sourced by launch/up and launch/serve: how they read their arguments. $caller is the folder they were called from.

# refuse WORDS: says what is wrong and ends the script.
refuse() { printf '%s: error: %s\n' "${0##*/}" "$*" >&2; exit 2; }

# number NAME VALUE LEAST MOST
number() {
  [[ $2 =~ ^(0|[1-9][0-9]{0,5})$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ] ||
    refuse "$1 wants a whole number from $3 to $4, found '$2'"
}

# setting VALUE: refuses a value of --set that decides how many ranks there are, which mpirun must know.
setting() {
  case "$1" in
    engine.tp=*|engine.replicas=*)
      local key=${1%%=*}
      refuse "--set $key is not taken here: say --${key#engine.} ${1#*=}, or $key in the file of --config"
      ;;
  esac
}

# from_caller PATH: a relative path as the caller's folder has it, if there is something; else as it is, of the repository.
from_caller() {
  if [[ $1 != /* && -n $1 && -e $caller/$1 ]]; then echo "$caller/$1"; else echo "$1"; fi
}
