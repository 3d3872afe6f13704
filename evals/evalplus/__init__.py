"""EvalPlus's benchmarks, HumanEval+ and MBPP+, and MBPP as it was published."""
