"""The code of measuring processes: loading, calls, clocks, and the state of memory and machine.

Read `child` first (a process of a sweep); `measure` is for the latency sample, and `export` prepares ONNX Runtime.
"""
