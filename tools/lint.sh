#!/usr/bin/env bash
# Style: formatting, banned functions, rooms of the libraries, size and complexity, Python lint and types.
set -u
cd "$(dirname "$0")/.."
bad=0
complain() { printf 'lint: %s\n' "$*"; bad=1; }

mapfile -t c_files < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' | sort)
mapfile -t product < <(printf '%s\n' "${c_files[@]}" | grep -v '^tests/')

# 1. formatting
for f in "${c_files[@]}"; do
  clang-format --dry-run -Werror "$f" >/dev/null 2>&1 || complain "$f: not as clang-format writes it (run clang-format -i $f)"
done

# 2. banned functions
banned='(^|[^[:alnum:]_])(sprintf|strcpy|strcat|strtok|atoi|system|popen|gets|alloca)[[:space:]]*\('
grep -nE "$banned" "${product[@]}" && complain "a banned function"

# 3. each library stays in its room
room() { # PATTERN ALLOWED-PATH-REGEX
  grep -lE "$1" "${product[@]}" | grep -vE "$2" && complain "$1 outside of $2"
}
room '\bsqlite3_' '^store/'
room '\bMHD_' '^api/'
room '\bcurl_easy|\bcurl_multi' '^workers/llm/'
room '\buv_[a-z]+ ?\(' '^(daemon|workers)/'

# 4. size and complexity; exceptions by name with a reason
while read -r complexity lines where function; do
  [ -z "$function" ] && continue
  if [ "$complexity" -gt 20 ] || [ "$lines" -gt 100 ]; then
    grep -q "^$function " tools/lint-exceptions.txt || complain "$where: $function has complexity $complexity and $lines lines"
  fi
done < <(pmccabe "${product[@]}" 2>/dev/null | awk -F '\t' '{ split($6, a, ": "); print $1, $5, a[1], a[2] }')
for f in "${product[@]}"; do
  lines=$(wc -l <"$f")
  [ "$lines" -gt 900 ] && complain "$f has $lines lines"
done

# 5. Python
tools=build/envs/tools/bin
$tools/ruff check --quiet . || complain "ruff check"
$tools/ruff format --check --quiet . || complain "ruff format"
types() { # ENVIRONMENT MODULE…: each part of the package against the libraries it runs with
  local env=$1
  shift
  (cd workers/python && "../../$tools/mypy" --no-error-summary --python-executable "../../build/envs/$env/bin/python" "$@") ||
    complain "mypy ($env environment)"
}
types torch -p ferry.oracle -p ferry.bugs -p ferry.translate -m ferry.zygote -m ferry.runner -m ferry.devrun
types jax -p ferry.prelude -p ferry.check -p ferry.deliver

# 6. shell
for f in tools/*.sh .ci/run; do bash -n "$f" || complain "$f"; done

[ $bad = 0 ] && echo "lint: clean"
exit $bad
