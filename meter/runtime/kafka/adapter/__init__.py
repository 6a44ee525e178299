"""The only package that touches aiokafka's clients, and the only one that uses its private names.

`protocols` says what the runtime asks of a Kafka client; the other modules give it that with aiokafka. The README of
`meter.runtime` lists every private name and the test that fails when it changes.
"""
