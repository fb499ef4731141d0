//! Inputs that are refused, with every error they get: one table for the reader's own tests and for those of the producer,
//! which sends each over HTTP.

/// Not JSON, and where it stops being that.
#[rustfmt::skip]
pub(super) const NOT_JSON: &[(&str, &str)] = &[
    ("", "empty"),
    (" \n\t ", "empty"),
    ("\u{feff}{}", "begins with a byte order mark, which JSON must not have"),
    (r#"{"user_id":"u","amount":1}}"#, "line 1, column 27: expected nothing more, found '}'"),
    (r#"{"user_id":"u","amount":1} x"#, "line 1, column 28: expected nothing more, found 'x'"),
    (r#"{"user_id":"u","amount":1,}"#, "line 1, column 27: expected a key in double quotes, found '}'"),
    (r#"{"user_id":"u" "amount":1}"#, r#"line 1, column 16: expected `,` or `}`, found '"'"#),
    (r#"{"user_id":"u","amount":01}"#, "line 1, column 26: expected `,` or `}`, found '1'"),
    (r#"{"user_id":"u","amount":+1}"#, "line 1, column 25: expected a value, found '+'"),
    (r#"{"user_id":"u","amount":.5}"#, "line 1, column 25: expected a value, found '.'"),
    (r#"{"user_id":"u","amount":1.}"#, "line 1, column 27: expected a digit, found '}'"),
    (r#"{"user_id":"u","amount":1e}"#, "line 1, column 27: expected a digit, found '}'"),
    (r#"{"user_id":"u","amount":NaN}"#, "line 1, column 25: expected a value, found 'N'"),
    (r#"{"user_id":"u","amount":Infinity}"#, "line 1, column 25: expected a value, found 'I'"),
    (r#"{"user_id":"u","amount":-Infinity}"#, "line 1, column 26: expected a digit, found 'I'"),
    ("{'user_id':'u'}", r"line 1, column 2: expected a key in double quotes, found '\''"),
    (r#"{"user_id":"u","amount":1,"a":"\x"}"#, r#"line 1, column 33: expected one of " \ / b f n r t u after a backslash, found 'x'"#),
    (r#"{"user_id":"u","amount":1,"a":"\u12g4"}"#, r"line 1, column 36: expected four hexadecimal digits after \u, found 'g'"),
    ("{\"user_id\":\"u\",\"amount\":1,\"a\":\"\t\"}", r"line 1, column 32: expected an escape in place of a control character, found '\t'"),
    (r#"{"user_id":"u","amount":1,"a":"abc"#, "line 1, column 35: expected the string's closing quote, found the end"),
    (r#"{"user_id":"u","amount":1,"a":[1,2"#, "line 1, column 35: expected `,` or `]`, found the end"),
    (r#"{"user_id":"u","amount":1,"a":[1 2]}"#, "line 1, column 34: expected `,` or `]`, found '2'"),
    (r#"{"user_id":"u","amount":1,"a":{"b" 1}}"#, "line 1, column 36: expected `:`, found '1'"),
    (r#"{"user_id":"u","amount":1,"a":tru}"#, "line 1, column 31: expected a value, found 't'"),
    (r#"{"user_id":"u","amount":1,"a":nul}"#, "line 1, column 31: expected a value, found 'n'"),
    (r#"{"user_id":"u","amount":1 // comment"#, "line 1, column 27: expected `,` or `}`, found '/'"),
    (r#"{user_id:"u"}"#, "line 1, column 2: expected a key in double quotes, found 'u'"),
    (r#"{"user_id":"u","amount":1}{"user_id":"u","amount":1}"#, "line 1, column 27: expected nothing more, found '{'"),
    ("{\n  \"user_id\": \"u\",\n  \"amount\": 1,\n}", "line 4, column 1: expected a key in double quotes, found '}'"),
    ("{\"é\":\"\n\"}", r"line 1, column 7: expected an escape in place of a control character, found '\n'"),
];

/// JSON that is no order, and each of its errors: pointer and detail.
#[rustfmt::skip]
pub(super) const INVALID: &[(&str, &[(&str, &str)])] = &[
    ("null", &[("", "must be an object (got null)")]),
    ("[]", &[("", "must be an object (got [])")]),
    (r#""x""#, &[("", r#"must be an object (got "x")"#)]),
    ("12", &[("", "must be an object (got 12)")]),
    ("true", &[("", "must be an object (got true)")]),
    ("{}", &[("/user_id", "is required"), ("", "needs an amount, a payment with an amount, or at least one item")]),
    (r#"{"user_id":"u"}"#, &[("", "needs an amount, a payment with an amount, or at least one item")]),
    (r#"{"amount":1}"#, &[("/user_id", "is required")]),
    (r#"{"user_id":null,"amount":1}"#, &[("/user_id", "is required")]),
    (r#"{"user_id":"","amount":1}"#, &[
        ("/user_id", r#"must be 1 to 128 characters, none of them a control character (got "")"#),
    ]),
    (r#"{"user_id":"a\nb","amount":1}"#, &[
        ("/user_id", r#"must be 1 to 128 characters, none of them a control character (got "a\nb")"#),
    ]),
    (r#"{"user_id":"\u0000","amount":1}"#, &[("/user_id", r#"holds U+0000, which cannot be stored (got "\u0000")"#)]),
    (r#"{"user_id":"\ud800","amount":1}"#, &[
        ("/user_id", r#"holds a lone surrogate, which is no character (got "\ud800")"#),
    ]),
    (r#"{"user_id":-5,"amount":1}"#, &[("/user_id", "must be a string or an integer from 0 (got -5)")]),
    (r#"{"user_id":4.0,"amount":1}"#, &[("/user_id", "must be a string or an integer from 0 (got 4.0)")]),
    (r#"{"user_id":1e3,"amount":1}"#, &[("/user_id", "must be a string or an integer from 0 (got 1e3)")]),
    (r#"{"user_id":true,"amount":1}"#, &[("/user_id", "must be a string or an integer from 0 (got true)")]),
    (r#"{"user_id":["u"],"amount":1}"#, &[("/user_id", r#"must be a string or an integer from 0 (got ["u"])"#)]),
    (r#"{"customer_id":{"a":1},"amount":1}"#, &[
        ("/customer_id", r#"must be a string or an integer from 0 (got {"a":1})"#),
    ]),
    (r#"{"user_id":"u","user_id":"u","amount":1}"#, &[("/user_id", "is there twice")]),
    (r#"{"user_id":"u","customer_id":"u","amount":1}"#, &[
        ("/customer_id", "is the same field as `user_id`: send one of them"),
    ]),
    (r#"{"user_id":"u","\u0075ser_id":"u","amount":1}"#, &[("/user_id", "is there twice")]),
    (r#"{"order_id":"o","id":"o","user_id":"u","amount":1}"#, &[
        ("/id", "is the same field as `order_id`: send one of them"),
    ]),
    (r#"{"order_id":"-o","user_id":"u","amount":1}"#, &[
        ("/order_id", r#"must be 1 to 64 of A-Z a-z 0-9 . _ ~ : - and begin with a letter or a digit (got "-o")"#),
    ]),
    (r#"{"order_id":-7,"user_id":"u","amount":1}"#, &[("/order_id", "must be a string or an integer from 0 (got -7)")]),
    (r#"{"order_uid":"a b","user_id":"u","amount":1}"#, &[
        ("/order_uid", r#"must be 1 to 64 of A-Z a-z 0-9 . _ ~ : - and begin with a letter or a digit (got "a b")"#),
    ]),
    (r#"{"order_id":"o1","user_id":"u","amount":-1}"#, &[("/amount", "must not be negative (got -1)")]),
    (r#"{"user_id":"u","amount":"abc"}"#, &[("/amount", r#"must be a decimal number like 12.50 (got "abc")"#)]),
    (r#"{"user_id":"u","amount":""}"#, &[("/amount", r#"must be a decimal number like 12.50 (got "")"#)]),
    (r#"{"user_id":"u","amount":"1,5"}"#, &[("/amount", r#"must be a decimal number like 12.50 (got "1,5")"#)]),
    (r#"{"user_id":"u","amount":" 1"}"#, &[("/amount", r#"must be a decimal number like 12.50 (got " 1")"#)]),
    (r#"{"user_id":"u","amount":0.00001}"#, &[("/amount", "has 5 decimals, at most 4 are allowed (got 0.00001)")]),
    (r#"{"user_id":"u","amount":1e15}"#, &[
        ("/amount", "has 16 digits before the decimal point, at most 15 are allowed (got 1e15)"),
    ]),
    (r#"{"user_id":"u","amount":1e400}"#, &[
        ("/amount", "has 401 digits before the decimal point, at most 15 are allowed (got 1e400)"),
    ]),
    (r#"{"user_id":"u","total":"1e-400"}"#, &[("/total", r#"has 400 decimals, at most 4 are allowed (got "1e-400")"#)]),
    (r#"{"user_id":"u","amount":1,"total":1}"#, &[("/total", "is the same field as `amount`: send one of them")]),
    (r#"{"user_id":"u","amount":true}"#, &[("/amount", "must be a decimal number like 12.50 (got true)")]),
    (r#"{"user_id":"u","amount":{"value":1}}"#, &[
        ("/amount", r#"must be a decimal number like 12.50 (got {"value":1})"#),
    ]),
    (r#"{"user_id":"u","amount":"\ud800"}"#, &[
        ("/amount", r#"holds a lone surrogate, which is no character (got "\ud800")"#),
    ]),
    (r#"{"user_id":"u","amount":1,"currency":"usd"}"#, &[
        ("/currency", r#"must be an ISO 4217 code of 3 upper-case letters (got "usd")"#),
    ]),
    (r#"{"user_id":"u","amount":1,"currency":840}"#, &[("/currency", "must be a string (got 840)")]),
    (r#"{"user_id":"u","amount":1,"created_at":"2026-01-01"}"#, &[
        ("/created_at", r#"must be an RFC 3339 instant with a zone, like 2026-01-31T12:00:00Z (got "2026-01-01")"#),
    ]),
    (r#"{"user_id":"u","amount":1,"created_at":1767225600}"#, &[
        ("/created_at", "must be an RFC 3339 instant with a zone, like 2026-01-31T12:00:00Z (got 1767225600)"),
    ]),
    (r#"{"user_id":"u","amount":1,"timestamp":"1969-12-31T23:59:59Z"}"#, &[
        ("/timestamp", r#"must be an RFC 3339 instant with a zone, like 2026-01-31T12:00:00Z (got "1969-12-31T23:59:59Z")"#),
    ]),
    (r#"{"user_id":"u","amount":1,"created_at":"2026-01-01T00:00:00Z","timestamp":"2026-01-01T00:00:00Z"}"#, &[
        ("/timestamp", "is the same field as `created_at`: send one of them"),
    ]),
    (r#"{"user_id":"u","amount":1,"track_number":["t"]}"#, &[
        ("/track_number", r#"must be a string or an integer from 0 (got ["t"])"#),
    ]),
    (r#"{"user_id":"u","amount":1,"items":{}}"#, &[("/items", "must be an array (got {})")]),
    (r#"{"user_id":"u","items":[]}"#, &[("", "needs an amount, a payment with an amount, or at least one item")]),
    (r#"{"user_id":"u","items":[null]}"#, &[("/items/0", "must be an object (got null)")]),
    (r#"{"user_id":"u","items":[1,"a"]}"#, &[
        ("/items/0", "must be an object (got 1)"),
        ("/items/1", r#"must be an object (got "a")"#),
    ]),
    (r#"{"user_id":"u","items":[{}]}"#, &[
        ("/items/0", "needs a sku or a name"),
        ("/items/0", "needs a unit_price or a total_price"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a"}]}"#, &[("/items/0", "needs a unit_price or a total_price")]),
    (r#"{"user_id":"u","items":[{"price":1}]}"#, &[("/items/0", "needs a sku or a name")]),
    (r#"{"user_id":"u","items":[{"sku":"a","unit_price":1,"price":1}]}"#, &[
        ("/items/0/price", "is the same field as `unit_price`: send one of them"),
    ]),
    (r#"{"user_id":"u","items":[{"name":"a","product_name":"a","price":1}]}"#, &[
        ("/items/0/product_name", "is the same field as `name`: send one of them"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":1.5,"price":1}]}"#, &[
        ("/items/0/sku", "must be a string or an integer from 0 (got 1.5)"),
    ]),
    (r#"{"user_id":"u","items":[{"nm_id":true,"price":1}]}"#, &[
        ("/items/0/nm_id", "must be a string or an integer from 0 (got true)"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a","price":1,"quantity":0}]}"#, &[
        ("/items/0/quantity", "must be an integer from 1 to 2147483647 (got 0)"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a","price":1,"quantity":-1}]}"#, &[
        ("/items/0/quantity", "must be an integer from 1 to 2147483647 (got -1)"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a","price":1,"quantity":2147483648}]}"#, &[
        ("/items/0/quantity", "must be an integer from 1 to 2147483647 (got 2147483648)"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a","price":1,"quantity":1.5}]}"#, &[
        ("/items/0/quantity", "must be an integer from 1 to 2147483647 (got 1.5)"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a","price":1,"quantity":"2"}]}"#, &[
        ("/items/0/quantity", r#"must be an integer from 1 to 2147483647 (got "2")"#),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a","price":999999999999999,"quantity":2}]}"#, &[
        ("/items/0", "has a quantity × unit price of more than 15 digits before the decimal point"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a","price":999999999999999},{"sku":"b","price":1}]}"#, &[
        ("/items", "add up to more than 15 digits before the decimal point"),
    ]),
    (r#"{"user_id":"u","items":[{"sku":"a","price":1},{"sku":"b","price":"x","total_price":-2,"quantity":0}]}"#, &[
        ("/items/1/price", r#"must be a decimal number like 12.50 (got "x")"#),
        ("/items/1/total_price", "must not be negative (got -2)"),
        ("/items/1/quantity", "must be an integer from 1 to 2147483647 (got 0)"),
    ]),
    (r#"{"user_id":"u","product_id":"p","quantity":1}"#, &[("", "needs a unit_price or a total_price")]),
    (r#"{"user_id":"u","product_id":"p","quantity":0,"price":1}"#, &[
        ("/quantity", "must be an integer from 1 to 2147483647 (got 0)"),
    ]),
    (r#"{"user_id":"u","product_id":"p","price":1,"unit_price":1}"#, &[
        ("/unit_price", "is the same field as `price`: send one of them"),
    ]),
    (r#"{"user_id":"u","product_id":"p","price":1,"items":[{"sku":"a","price":1}]}"#, &[
        ("/product_id", "is an item at top level, and `items` is there, too: send one of them"),
    ]),
    (r#"{"user_id":"u","quantity":1,"price":5}"#, &[
        ("", "needs an amount, a payment with an amount, or at least one item"),
    ]),
    (r#"{"user_id":"u","product_id":"p","quantity":1,"quantity":1,"price":1}"#, &[("/quantity", "is there twice")]),
    (r#"{"user_id":"u","product_id":"p","quantity":2147483647,"price":999999999999999}"#, &[
        ("", "has a quantity × unit price of more than 15 digits before the decimal point"),
    ]),
    (r#"{"user_id":"u","amount":1,"delivery":"home"}"#, &[("/delivery", r#"must be an object (got "home")"#)]),
    (r#"{"user_id":"u","amount":1,"delivery":{"zip":12345,"city":null,"phone":"\u0000"}}"#, &[
        ("/delivery/zip", "must be a string (got 12345)"),
        ("/delivery/phone", r#"holds U+0000, which cannot be stored (got "\u0000")"#),
    ]),
    (r#"{"user_id":"u","payment":{"amount":"x","currency":"us","payment_dt":1.5,"bank":1,"custom_fee":-1}}"#, &[
        ("/payment/amount", r#"must be a decimal number like 12.50 (got "x")"#),
        ("/payment/currency", r#"must be an ISO 4217 code of 3 upper-case letters (got "us")"#),
        ("/payment/payment_dt", "must be unix seconds, an integer of 64 bits (got 1.5)"),
        ("/payment/bank", "must be a string (got 1)"),
        ("/payment/custom_fee", "must not be negative (got -1)"),
    ]),
    (r#"{"user_id":"u","payment":{"bank":1}}"#, &[
        ("/payment/bank", "must be a string (got 1)"),
        ("", "needs an amount, a payment with an amount, or at least one item"),
    ]),
    (r#"{"user_id":"u","payment":[]}"#, &[("/payment", "must be an object (got [])")]),
    (r#"{"user_id":"u","payment":{"payment_dt":9223372036854775808,"amount":1}}"#, &[
        ("/payment/payment_dt", "must be unix seconds, an integer of 64 bits (got 9223372036854775808)"),
    ]),
    (r#"{"user_id":"u","amount":1,"attributes":{},"attributes":{}}"#, &[("/attributes", "is there twice")]),
    (r#"{"user_id":"u","amount":1,"attributes":[]}"#, &[("/attributes", "must be an object (got [])")]),
    (r#"{"user_id":"u","amount":1,"a":1,"a":2}"#, &[("/a", "is there twice")]),
    (r#"{"user_id":"u","amount":1,"a":1,"attributes":{"a":2}}"#, &[
        ("/attributes/a", "is a field beside `attributes`, too: send one of them"),
    ]),
    (r#"{"user_id":"u","amount":1,"attributes":{"a":1,"a":2}}"#, &[("/attributes/a", "is there twice")]),
    (r#"{"user_id":"u","amount":1,"a":{"b":[{"c~/d":1,"c~/d":2}]}}"#, &[("/a/b/0/c~0~1d", "is there twice")]),
    (r#"{"user_id":"u","amount":1,"a":{"b":1,"\u0062":2}}"#, &[("/a/b", "is there twice")]),
    (r#"{"user_id":"u","amount":1,"a":["\ud83d"]}"#, &[
        ("/a/0", r#"holds a lone surrogate, which is no character (got "\ud83d")"#),
    ]),
    (r#"{"user_id":"u","amount":1,"a":{"\u0000":1}}"#, &[
        ("/a", "has a key that holds U+0000, which cannot be stored"),
    ]),
    (r#"{"user_id":"u","amount":1,"\udc00":1}"#, &[
        ("", "has a key that holds a lone surrogate, which is no character"),
    ]),
    (r#"{"user_id":"u","amount":1,"a":[1e131072,1e-16384]}"#, &[
        ("/a/0", "is out of range: at most 131072 digits before the decimal point and 16383 after it are allowed (got 1e131072)"),
        ("/a/1", "is out of range: at most 131072 digits before the decimal point and 16383 after it are allowed (got 1e-16384)"),
    ]),
    (r#"{"user_id":"u","amount":1,"items":[{"sku":"a","price":1,"foo":1,"attributes":{"foo":2}}]}"#, &[
        ("/items/0/attributes/foo", "is a field beside `attributes`, too: send one of them"),
    ]),
    (r#"{"order_id":"O-1","user_id":"","amount":-1,"currency":"x","created_at":"y","items":[{"quantity":0}],"delivery":1,"a":1,"a":1}"#, &[
        ("/user_id", r#"must be 1 to 128 characters, none of them a control character (got "")"#),
        ("/amount", "must not be negative (got -1)"),
        ("/currency", r#"must be an ISO 4217 code of 3 upper-case letters (got "x")"#),
        ("/created_at", r#"must be an RFC 3339 instant with a zone, like 2026-01-31T12:00:00Z (got "y")"#),
        ("/items/0/quantity", "must be an integer from 1 to 2147483647 (got 0)"),
        ("/items/0", "needs a sku or a name"),
        ("/items/0", "needs a unit_price or a total_price"),
        ("/delivery", "must be an object (got 1)"),
        ("/a", "is there twice"),
    ]),
];
