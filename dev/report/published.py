"""published.py -- what was published of the method (arXiv 2605.07063 and its public code), to stand beside our numbers."""

# The case study: mean |score| of a layer type, and Spearman's correlation of its scores with the global ones, in each of four settings
# (samsum, tydiqa, nq, squad; Llama-3.2-1B), under the names of GPT-2's layers. Gate has no counterpart there.
MAGNITUDE = {"q": (.036730, .070642, .293477, .112903), "k": (.016038, .037170, .143419, .059794), "v": (.187773, .528057, 2.317470, .839187),
             "attproj": (.090036, .350250, 1.123359, .571963), "fc": (.073716, .234979, .688137, .365205),
             "fcproj": (1.127706, 4.328956, 13.015140, 8.431802)}
SPEARMAN = {"q": (.1201, .2045, .1626, .2165), "k": (.1077, .1824, .1332, .1927), "v": (.3820, .4499, .4200, .4787),
            "attproj": (.4784, .5534, .5233, .5840), "fc": (.4368, .5111, .4560, .5334), "fcproj": (.4968, .5596, .5373, .5890)}
NAMES = {"q": "Q", "k": "K", "v": "V", "attproj": "O", "fc": "Up", "fcproj": "Down"}

# Perplexity on the test set, lowest and final: Llama-3.2-1B, means of five seeds.
ROWS = ("full", "subset global", "subset by layer", "target")
PERPLEXITY = {
    "samsum, full": ((5.764, 5.843), (5.353, 5.373), (5.091, 5.107), (6.002, 57.534)),
    "samsum, LoRA": ((5.664, 6.010), (5.230, 5.307), (5.057, 5.109), (5.755, 352.678)),
    "samsum, MeSO": ((5.868, 5.876), (5.342, 5.346), (4.832, 4.834), (6.001, 57.622)),
    "tydiqa, LoRA": ((3.860, 5.961), (2.673, 3.337), (1.910, 1.918), (1.591, 2.525)),
    "nq, LoRA": ((12.652, 13.532), (11.672, 12.399), (11.584, 12.443), (13.215, 197.478)),
    "squad, LoRA": ((65.908, 86.717), (31.757, 32.344), (22.128, 22.321), (15.032, 460.452)),
}
# ROUGE-L or F1, in parts of 1, final checkpoint.
DOWNSTREAM = {"samsum, full": (.150, .148, .144, .289), "samsum, LoRA": (.182, .196, .222, .299), "samsum, MeSO": (.093, .095, .097, .285),
              "tydiqa, LoRA": (.10128, .13424, .27366, .47642), "nq, LoRA": (.126, .137, .146, .087), "squad, LoRA": (.076, .083, .091, .069)}
