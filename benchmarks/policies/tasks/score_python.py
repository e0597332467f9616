"""Judges generated Python for `rubato bench policies`: a JSON object a line in, "right" or "wrong" a line out.

Both the generated and the expected code define the function `entry`; it is right if both give the same for every argument
list of `inputs`. Each pair runs in a process of its own, without modules or builtins but `range`, with little time and memory.
"""
import json
import os
import resource
import signal
import sys

CPU_SECONDS = 2
SECONDS = 20  # should the processor be busy otherwise
BYTES = 1 << 30


def results(source, request):
    scope = {"__builtins__": {"range": range}}
    exec(source, scope)
    return [scope[request["entry"]](*arguments) for arguments in request["inputs"]]


def run_apart(request):
    """In a child process: exits with 0 if the code is right."""
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    status = 1
    try:
        code = request["code"].split("```")[0]
        status = 0 if results(code, request) == results(request["expected"], request) else 1
    except BaseException:
        pass
    os._exit(status)


def is_right(request):
    child = os.fork()
    if child == 0:
        run_apart(request)
    _, status = os.waitpid(child, 0)
    return status == 0


def main():
    print("ready", flush=True)
    for line in sys.stdin:
        print("right" if is_right(json.loads(line)) else "wrong", flush=True)


if __name__ == "__main__":
    try:
        main()
    except ConnectionError:  # the benchmark has ended
        os._exit(0)
