"""What is usual in this capture: forms, tokens, service times, repeated answers, closes.

Law: sums over the exchanges; whatever is asked of them leaves out the exchange in question, which
must not testify for itself. Little seen is worth few bits.
"""
