"""What is put around a LeetCode-style solution to make a program of it, in three languages.

Each reads the arguments of a call from stdin, one a line, makes a `Solution`, calls one method and
prints its value, until the input ends: what CodeEditorBench/CodeEditorBench evaluation/judge/
leetcode_template and scripts/add_template.py do. The texts are ours. A method that returns nothing
prints "null"; texts are printed in double quotes, lists as "[1, 2]".

Covers: numbers, booleans, characters, texts, lists of them at any depth (arrays in Java), ListNode
and TreeNode. Does not cover: `Node`, classes that are called method by method.
"""

from __future__ import annotations

from typing import Final

PYTHON_HEAD: Final = """from typing import *
import collections, functools, heapq, itertools, math, bisect, string, re
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from bisect import *

class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next

class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right

"""

PYTHON_TAIL: Final = r"""

def _seedcoder_main(name):
    import ast, inspect, json, os, re, sys
    answer = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    words = {"null": "None", "true": "True", "false": "False"}
    def read(text, hint):
        try:
            plain = re.sub(r"\b(null|true|false)\b", lambda x: words[x[0]], text)
            value = ast.literal_eval(plain)
        except (ValueError, SyntaxError):
            return text
        if "str" == hint and not isinstance(value, str):
            return text
        if "ListNode" in hint:
            many = value and isinstance(value[0], list)
            return [chain(x) for x in value] if many else chain(value)
        return tree(value) if "TreeNode" in hint else value
    def chain(values):
        head = None
        for value in reversed(values or []):
            head = ListNode(value, head)
        return head
    def tree(values):
        if not values:
            return None
        rest = iter(values)
        root = TreeNode(next(rest))
        queue = [root]
        for node in queue:
            for side in ("left", "right"):
                value = next(rest, None)
                if value is not None:
                    setattr(node, side, TreeNode(value))
                    queue.append(getattr(node, side))
        return root
    def plain(value):
        if isinstance(value, ListNode):
            values = []
            while value and len(values) < 1_000_000:
                values.append(value.val)
                value = value.next
            return values
        if isinstance(value, TreeNode):
            values, queue = [], [value]
            for node in queue:
                values.append(node and node.val)
                if node:
                    queue += [node.left, node.right]
            while values and values[-1] is None:
                values.pop()
            return values
        if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
            return [plain(x) for x in value]
        return value
    method = inspect.signature(getattr(Solution, name))
    hints = [str(x.annotation) for x in method.parameters.values() if x.name != "self"]
    hints = [h[8:-2] if h.startswith("<class '") else h for h in hints]
    lines = sys.stdin.read().rstrip("\n").split("\n")
    with os.fdopen(answer, "w") as stream:
        for at in range(0, len(lines), len(hints) or 1):
            given = [read(*pair) for pair in zip(lines[at : at + len(hints)], hints)]
            value = getattr(Solution(), name)(*given)
            stream.write(json.dumps(plain(value), ensure_ascii=False, default=str) + "\n")

"""

CPP_NODES: Final = {
    "ListNode": """struct ListNode {
    int val; ListNode *next;
    ListNode() : val(0), next(nullptr) {}
    ListNode(int x) : val(x), next(nullptr) {}
    ListNode(int x, ListNode *n) : val(x), next(n) {}
};
""",
    "TreeNode": """struct TreeNode {
    int val; TreeNode *left, *right;
    TreeNode() : val(0), left(nullptr), right(nullptr) {}
    TreeNode(int x) : val(x), left(nullptr), right(nullptr) {}
    TreeNode(int x, TreeNode *l, TreeNode *r) : val(x), left(l), right(r) {}
};
""",
}
CPP_HEAD: Final = "#include <bits/stdc++.h>\nusing namespace std;\n"
CPP_TAIL: Final = r"""
namespace seedcoder {
struct In {
    string s; size_t at = 0;
    void skip() { while (at < s.size() && isspace((unsigned char)s[at])) at++; }
    bool eat(char c) { skip(); if (at < s.size() && s[at] == c) { at++; return true; } return false; }
    string word() { skip(); size_t b = at; while (at < s.size() && !strchr(",] \t\r", s[at])) at++; return s.substr(b, at - b); }
    void read(int &x) { x = (int)stoll(word()); }
    void read(long &x) { x = stol(word()); }
    void read(long long &x) { x = stoll(word()); }
    void read(unsigned &x) { x = (unsigned)stoull(word()); }
    void read(double &x) { x = stod(word()); }
    void read(float &x) { x = stof(word()); }
    void read(bool &x) { string w = word(); x = w == "true" || w == "True" || w == "1"; }
    void read(char &x) { string t; read(t); x = t.empty() ? '\0' : t[0]; }
    void read(string &x) {
        skip(); x.clear();
        if (at < s.size() && (s[at] == '"' || s[at] == '\'')) {
            char end = s[at++];
            for (; at < s.size() && s[at] != end; at++) {
                if (s[at] == '\\' && at + 1 < s.size()) { at++; x += s[at] == 'n' ? '\n' : s[at] == 't' ? '\t' : s[at]; }
                else x += s[at];
            }
            at++;
        } else { x = s.substr(at); at = s.size(); }
    }
    template <class T> void read(vector<T> &x) {
        x.clear();
        if (!eat('[')) throw runtime_error("a list was expected");
        if (eat(']')) return;
        do { T one{}; read(one); x.push_back(one); } while (eat(','));
        eat(']');
    }
    vector<string> words() {
        vector<string> all; eat('[');
        if (eat(']')) return all;
        do all.push_back(word()); while (eat(','));
        eat(']'); return all;
    }
    void read(ListNode *&x) { ListNode h; ListNode *t = &h; for (auto &w : words()) t = t->next = new ListNode(stoi(w)); x = h.next; }
    void read(TreeNode *&x) {
        auto all = words(); x = nullptr; if (all.empty()) return;
        x = new TreeNode(stoi(all[0])); deque<TreeNode *> q{x}; size_t i = 1;
        auto next = [&]() -> TreeNode * { if (i >= all.size()) return nullptr; auto &w = all[i++]; return w == "null" || w == "None" ? nullptr : new TreeNode(stoi(w)); };
        while (!q.empty() && i < all.size()) { auto n = q.front(); q.pop_front(); if ((n->left = next())) q.push_back(n->left); if ((n->right = next())) q.push_back(n->right); }
    }
};
inline void out(ostream &o, bool x) { o << (x ? "true" : "false"); }
inline void out(ostream &o, int x) { o << x; }
inline void out(ostream &o, long x) { o << x; }
inline void out(ostream &o, long long x) { o << x; }
inline void out(ostream &o, unsigned x) { o << x; }
inline void out(ostream &o, double x) { o << setprecision(12) << x; }
inline void out(ostream &o, const string &x) { o << '"'; for (char c : x) { if (c == '"' || c == '\\') o << '\\'; if (c == '\n') o << "\\n"; else o << c; } o << '"'; }
inline void out(ostream &o, char x) { out(o, string(1, x)); }
inline void out(ostream &o, ListNode *x) { o << '['; for (bool f = true; x; x = x->next, f = false) o << (f ? "" : ", ") << x->val; o << ']'; }
inline void out(ostream &o, TreeNode *x) {
    vector<string> all; deque<TreeNode *> q; if (x) q.push_back(x);
    while (!q.empty()) { auto n = q.front(); q.pop_front(); all.push_back(n ? to_string(n->val) : "null"); if (n) { q.push_back(n->left); q.push_back(n->right); } }
    while (!all.empty() && all.back() == "null") all.pop_back();
    o << '['; for (size_t i = 0; i < all.size(); i++) o << (i ? ", " : "") << all[i]; o << ']';
}
template <class T> void out(ostream &o, const vector<T> &x) { o << '['; for (size_t i = 0; i < x.size(); i++) { if (i) o << ", "; out(o, (T)x[i]); } o << ']'; }
template <class F, class R, class... A> void call(F f, R *, tuple<decay_t<A>...> given, ostream &o) {
    auto one = [&](auto &...a) -> R { Solution s; if constexpr (is_member_function_pointer_v<F>) return (s.*f)(a...); else return f(a...); };
    if constexpr (is_void_v<R>) { apply(one, given); o << "null\n"; }
    else { R value = apply(one, given); out(o, (decay_t<R>)value); o << '\n'; }
}
template <class F, class R, class... A> void all(F f, ostream &o) {
    vector<string> lines; string line;
    while (getline(cin, line)) lines.push_back(line);
    while (!lines.empty() && lines.back().empty()) lines.pop_back();
    for (size_t at = 0; at < max<size_t>(lines.size(), 1); at += max<size_t>(sizeof...(A), 1)) {
        tuple<decay_t<A>...> given; size_t i = at;
        apply([&](auto &...a) { ((void)[&] { In in; in.s = lines.at(i++); in.read(a); }(), ...); }, given);
        call<F, R, A...>(f, (R *)nullptr, given, o);
    }
}
template <class R, class... A> void start(R (Solution::*f)(A...), ostream &o) { all<decltype(f), R, A...>(f, o); }
template <class R, class... A> void start(R (Solution::*f)(A...) const, ostream &o) { all<decltype(f), R, A...>(f, o); }
template <class R, class... A> void start(R (*f)(A...), ostream &o) { all<decltype(f), R, A...>(f, o); }
}
int main() { ostringstream o; auto shown = cout.rdbuf(cerr.rdbuf()); seedcoder::start(&Solution::@NAME@, o); cout.rdbuf(shown); cout << o.str() << flush; }
"""  # noqa: E501

JAVA_NODES: Final = {
    "ListNode": "class ListNode { int val; ListNode next; ListNode() {}"
    " ListNode(int v) { val = v; } ListNode(int v, ListNode n) { val = v; next = n; } }\n",
    "TreeNode": "class TreeNode { int val; TreeNode left, right; TreeNode() {}"
    " TreeNode(int v) { val = v; }"
    " TreeNode(int v, TreeNode l, TreeNode r) { val = v; left = l; right = r; } }\n",
}
JAVA_TAIL: Final = r"""
public class Main {
    static String s; static int at;
    static void skip() { while (at < s.length() && Character.isWhitespace(s.charAt(at))) at++; }
    static Object value() {
        skip();
        if (at >= s.length()) return "";
        char c = s.charAt(at);
        if (c == '[') {
            List<Object> list = new ArrayList<>(); at++; skip();
            if (s.charAt(at) == ']') { at++; return list; }
            while (true) { list.add(value()); skip(); if (at >= s.length() || s.charAt(at++) != ',') return list; }
        }
        if (c == '"' || c == '\'') {
            StringBuilder text = new StringBuilder(); at++;
            for (; at < s.length() && s.charAt(at) != c; at++) {
                if (s.charAt(at) == '\\' && at + 1 < s.length()) { at++; text.append(s.charAt(at) == 'n' ? '\n' : s.charAt(at)); }
                else text.append(s.charAt(at));
            }
            at++; return text.toString();
        }
        int b = at; while (at < s.length() && ",] \t".indexOf(s.charAt(at)) < 0) at++;
        return new Word(s.substring(b, at));
    }
    static class Word { String w; Word(String w) { this.w = w; } public String toString() { return w; } }
    static Object to(Object v, java.lang.reflect.Type type) {
        String w = v.toString();
        if (type instanceof java.lang.reflect.ParameterizedType) {
            java.lang.reflect.Type inner = ((java.lang.reflect.ParameterizedType) type).getActualTypeArguments()[0];
            List<Object> list = new ArrayList<>(); for (Object x : (List<?>) v) list.add(to(x, inner)); return list;
        }
        if (w.equals("null") || w.equals("None")) return null;
        if (type == int.class || type == Integer.class) return Integer.parseInt(w);
        if (type == long.class || type == Long.class) return Long.parseLong(w);
        if (type == double.class || type == Double.class) return Double.parseDouble(w);
        if (type == float.class || type == Float.class) return Float.parseFloat(w);
        if (type == boolean.class || type == Boolean.class) return w.equalsIgnoreCase("true");
        if (type == char.class || type == Character.class) return w.charAt(0);
        if (type == String.class) return w;
        if (type == ListNode.class) {
            ListNode head = new ListNode(0), tail = head;
            for (Object x : (List<?>) v) { tail.next = new ListNode(Integer.parseInt(x.toString())); tail = tail.next; }
            return head.next;
        }
        if (type == TreeNode.class) {
            List<?> all = (List<?>) v; if (all.isEmpty()) return null;
            TreeNode root = new TreeNode(Integer.parseInt(all.get(0).toString()));
            ArrayDeque<TreeNode> q = new ArrayDeque<>(); q.add(root);
            for (int i = 1; i < all.size() && !q.isEmpty(); ) {
                TreeNode n = q.poll();
                for (int side = 0; side < 2 && i < all.size(); side++, i++) {
                    String x = all.get(i).toString(); if (x.equals("null") || x.equals("None")) continue;
                    TreeNode child = new TreeNode(Integer.parseInt(x)); q.add(child);
                    if (side == 0) n.left = child; else n.right = child;
                }
            }
            return root;
        }
        Class<?> c = (Class<?>) type;
        if (c.isArray()) {
            List<?> list = (List<?>) v; Object array = java.lang.reflect.Array.newInstance(c.getComponentType(), list.size());
            for (int i = 0; i < list.size(); i++) java.lang.reflect.Array.set(array, i, to(list.get(i), c.getComponentType()));
            return array;
        }
        throw new IllegalArgumentException("a parameter of type " + type);
    }
    static String show(Object v) {
        if (v == null) return "null";
        if (v instanceof String || v instanceof Character) return "\"" + v.toString().replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\"";
        StringJoiner list = new StringJoiner(", ", "[", "]");
        if (v.getClass().isArray()) { for (int i = 0; i < java.lang.reflect.Array.getLength(v); i++) list.add(show(java.lang.reflect.Array.get(v, i))); return list.toString(); }
        if (v instanceof Collection) { for (Object x : (Collection<?>) v) list.add(show(x)); return list.toString(); }
        if (v instanceof ListNode) { for (ListNode n = (ListNode) v; n != null; n = n.next) list.add("" + n.val); return list.toString(); }
        if (v instanceof TreeNode) {
            List<String> all = new ArrayList<>(); LinkedList<TreeNode> q = new LinkedList<>(); q.add((TreeNode) v);
            while (!q.isEmpty()) { TreeNode n = q.poll(); all.add(n == null ? "null" : "" + n.val); if (n != null) { q.add(n.left); q.add(n.right); } }
            while (all.get(all.size() - 1).equals("null")) all.remove(all.size() - 1);
            for (String x : all) list.add(x); return list.toString();
        }
        return v.toString();
    }
    public static void main(String[] none) throws Throwable {
        java.io.PrintStream answer = System.out; System.setOut(System.err);
        java.lang.reflect.Method method = null;
        for (java.lang.reflect.Method m : Solution.class.getDeclaredMethods()) if (m.getName().equals("@NAME@") && !m.isSynthetic()) method = m;
        method.setAccessible(true);
        java.io.BufferedReader in = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
        List<String> lines = new ArrayList<>(); for (String l; (l = in.readLine()) != null; ) lines.add(l);
        while (!lines.isEmpty() && lines.get(lines.size() - 1).isEmpty()) lines.remove(lines.size() - 1);
        int count = method.getParameterCount();
        for (int from = 0; from < Math.max(1, lines.size()); from += Math.max(1, count)) {
            Object[] given = new Object[count];
            for (int i = 0; i < count; i++) {
                s = lines.get(from + i); at = 0;
                java.lang.reflect.Type type = method.getGenericParameterTypes()[i];
                Object v = value();
                given[i] = type == String.class && !(v instanceof String) ? s : to(v, type);
            }
            java.lang.reflect.Constructor<Solution> make = Solution.class.getDeclaredConstructor(); make.setAccessible(true);
            try { answer.println(show(method.invoke(make.newInstance(), given))); }
            catch (java.lang.reflect.InvocationTargetException e) { throw e.getCause(); }
        }
        answer.flush();
    }
}
"""  # noqa: E501
