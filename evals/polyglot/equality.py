"""What the tests of some languages compare with, written anew: none of the packages is at hand.

Each stands under a name that is drawn for each run, so that the program cannot replace it. What
these do not do: compare classes that tests of these benchmarks never hold (typed arrays, Perl's
globs, C# sets of objects).
"""

from __future__ import annotations

from typing import Final

# As `_.isEqual` of lodash: values of the same type, deep, NaN equal to itself, 0 to -0; and arrays
# within sets and maps in any order, which is a slip of lodash's that some tests live by. What it
# calls is taken before the program runs: that could replace the methods of built-in classes.
JAVASCRIPT: Final = """\
const SEEDCODER_NAME = ((fs, assert, call) => {
  const write = fs.writeSync, keysOf = Object.keys, protoOf = Object.getPrototypeOf;
  const isArray = Array.isArray, own = call.bind(Object.prototype.hasOwnProperty);
  const tag = call.bind(Object.prototype.toString), each = call.bind(Map.prototype.forEach);
  const eachOf = call.bind(Set.prototype.forEach), freeze = Object.freeze;
  const timeOf = call.bind(Date.prototype.getTime);
  const textOf = call.bind(RegExp.prototype.toString);
  const same = (a, b) => a === b || (a !== a && b !== b);
  const equal = (a, b, depth, loose) => {
    if (same(a, b)) return true;
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
    if (depth > 500) return false;
    const kind = tag(a);
    if (kind !== tag(b) || isArray(a) !== isArray(b)) return false;
    if (kind === '[object Number]' || kind === '[object Boolean]') return same(+a, +b);
    if (kind === '[object String]') return a + '' === b + '';
    if (kind === '[object Date]') return same(timeOf(a), timeOf(b));
    if (kind === '[object RegExp]') return textOf(a) === textOf(b);
    if (kind === '[object Map]' || kind === '[object Set]') {
      const listed = (one) => {
        const found = [];
        let size = 0;
        if (kind === '[object Set]') eachOf(one, (value) => { found[size++] = value; });
        else each(one, (value, key) => { found[size++] = [key, value]; });
        return found;
      };
      return equal(listed(a), listed(b), depth + 1, true);
    }
    if (isArray(a)) {
      const size = a.length, seen = [];
      if (size !== b.length) return false;
      for (let i = 0; i < size; i++) {
        let found = false;
        if (!loose) found = equal(a[i], b[i], depth + 1, false);
        for (let j = 0; loose && !found && j < size; j++) {
          if (seen[j] !== true && equal(a[i], b[j], depth + 1, true)) found = seen[j] = true;
        }
        if (!found) return false;
      }
      return true;
    }
    const names = keysOf(a);
    if (names.length !== keysOf(b).length) return false;
    for (let i = 0; i < names.length; i++) {
      if (!own(b, names[i]) || !equal(a[names[i]], b[names[i]], depth + 1, loose)) return false;
    }
    if (own(a, 'constructor') && own(b, 'constructor')) return true;
    return protoOf(a) === protoOf(b) || (a.constructor === b.constructor);
  };
  const isEqual = (a, b) => equal(a, b, 0, false);
  return freeze({
    isEqual, lodash: freeze({ isEqual }), deepEqual: assert.deepEqual,
    say: (text) => { write(1, text); },
  });
})(require('fs'), { ...require('assert') }, Function.prototype.call);
"""

# As `Compare` of Data::Compare 1.x: scalars as text, arrays and hashes deep, undef only like undef.
PERL: Final = """
package SEEDCODER_NAME;
sub Compare {
    my ($x, $y) = @_;
    return !defined($x) && !defined($y) if !defined($x) || !defined($y);
    return ref($x) eq ref($y) && $x eq $y if !ref($x) || !ref($y);
    return 0 if ref($x) ne ref($y);
    return 1 if $x == $y;
    if ("$x" =~ /ARRAY\\(0x[0-9a-f]+\\)$/) {
        return 0 if @$x != @$y;
        for my $i (0 .. $#$x) { return 0 unless Compare($x->[$i], $y->[$i]); }
        return 1;
    }
    if ("$x" =~ /HASH\\(0x[0-9a-f]+\\)$/) {
        return 0 if keys(%$x) != keys(%$y);
        for my $key (keys %$x) {
            return 0 unless exists $y->{$key} && Compare($x->{$key}, $y->{$key});
        }
        return 1;
    }
    return Compare($$x, $$y) if "$x" =~ /(?:SCALAR|REF)\\(0x[0-9a-f]+\\)$/;
    return 0;
}
package main;
"""

# As CompareLogic of CompareNetObjects with its defaults: the same type, then deep, numbers exact.
CSHARP: Final = """
namespace KellermanSoftware.CompareNetObjects
{
    public class ComparisonResult { public bool AreEqual { get; set; } }
    public class CompareLogic
    {
        public ComparisonResult Compare(object a, object b)
        {
            return new global::SEEDCODER_NAME().Compare(a, b);
        }
    }
}
public class SEEDCODER_NAME
{
    public KellermanSoftware.CompareNetObjects.ComparisonResult Compare(object a, object b)
    {
        return new KellermanSoftware.CompareNetObjects.ComparisonResult { AreEqual = Same(a, b) };
    }
    static bool Same(object a, object b)
    {
        if (a == null || b == null) return a == null && b == null;
        if (a.GetType() != b.GetType()) return false;
        if (a is string || a.GetType().IsPrimitive || a is decimal) return a.Equals(b);
        var first = a as System.Collections.IDictionary;
        if (first != null)
        {
            var second = (System.Collections.IDictionary)b;
            if (first.Count != second.Count) return false;
            foreach (var key in first.Keys)
                if (!second.Contains(key) || !Same(first[key], second[key])) return false;
            return true;
        }
        var left = a as System.Collections.IEnumerable;
        if (left != null)
        {
            var one = left.GetEnumerator();
            var other = ((System.Collections.IEnumerable)b).GetEnumerator();
            while (true)
            {
                bool more = one.MoveNext();
                if (more != other.MoveNext()) return false;
                if (!more) return true;
                if (!Same(one.Current, other.Current)) return false;
            }
        }
        foreach (var property in a.GetType().GetProperties())
            if (property.GetIndexParameters().Length == 0
                && !Same(property.GetValue(a, null), property.GetValue(b, null))) return false;
        foreach (var field in a.GetType().GetFields())
            if (!field.IsStatic && !Same(field.GetValue(a), field.GetValue(b))) return false;
        return true;
    }
}
"""

# What MultiPL-E's Java tests use of javatuples 1.2; its import is taken out of the program.
JAVA_TUPLES: Final = """
class Pair<A, B> {
    private final A a; private final B b;
    Pair(A a, B b) { this.a = a; this.b = b; }
    public static <A, B> Pair<A, B> with(A a, B b) { return new Pair<A, B>(a, b); }
    public A getValue0() { return a; }
    public B getValue1() { return b; }
    @Override public boolean equals(Object other) {
        return other instanceof Pair && java.util.Objects.equals(a, ((Pair<?, ?>) other).a)
            && java.util.Objects.equals(b, ((Pair<?, ?>) other).b);
    }
    @Override public int hashCode() { return java.util.Objects.hash(a, b); }
    @Override public String toString() { return "[" + a + ", " + b + "]"; }
}
class Triplet<A, B, C> {
    private final A a; private final B b; private final C c;
    Triplet(A a, B b, C c) { this.a = a; this.b = b; this.c = c; }
    public static <A, B, C> Triplet<A, B, C> with(A a, B b, C c) {
        return new Triplet<A, B, C>(a, b, c);
    }
    public A getValue0() { return a; }
    public B getValue1() { return b; }
    public C getValue2() { return c; }
    @Override public boolean equals(Object other) {
        return other instanceof Triplet && java.util.Objects.equals(a, ((Triplet<?, ?, ?>) other).a)
            && java.util.Objects.equals(b, ((Triplet<?, ?, ?>) other).b)
            && java.util.Objects.equals(c, ((Triplet<?, ?, ?>) other).c);
    }
    @Override public int hashCode() { return java.util.Objects.hash(a, b, c); }
    @Override public String toString() { return "[" + a + ", " + b + ", " + c + "]"; }
}
"""
