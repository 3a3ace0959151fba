"""What happens inside a measuring process: loading, calls, clocks, and accounts of memory and of the machine.

Read `child` first (a sweep's process); `measure` is the latency sample's, `export` ONNX Runtime's preparation.
"""
