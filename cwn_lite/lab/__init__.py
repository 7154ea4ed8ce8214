"""The evidence: recipe -> run -> result.

``recipes.get`` names what is trained, ``python -m cwn_lite.lab run`` trains it, ``results.load`` reads what came out.
"""
