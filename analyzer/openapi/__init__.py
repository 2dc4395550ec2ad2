"""OpenAPI documents: read as what is known of an API, held against traffic, and written.

Law: a document says what was meant, the traffic what is. Where they contradict each other that is a
notice; whose a response is, is judged by both.
"""
