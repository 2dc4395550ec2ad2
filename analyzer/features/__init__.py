"""What is learned of single messages while a capture passes by: endpoints, shapes, tokens, demands.

Law: pure functions of bytes, and sums over them that commute, so that blocks, shares and files make
no difference. None of them knows of connections, time or other messages.
"""
