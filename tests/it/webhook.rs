//! Webhooks: signed, typed, recorded once, and nothing stored of what is refused.

mod schemes;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    house::House,
    people::{address, now, person},
    shop::{self, Shop, Signed},
    web::http,
};

fn house() -> House {
    House::of(
        "herald: 1
bot: shop
identity: env:BOT_KEY
rules:
  order:
    when:
      webhook: /orders/new
      verify: { scheme: standard-webhooks, secret: env:SECRET, tolerance: 1m }
      body: { id: text, wallet: wallet, total: decimal, note: optional text }
    to: { wallet: body.wallet }
    key: body.id
    consent: transactional
    send: \"{{ body.id }}: {{ body.total | usd }}{% if body.note %} ({{ body.note }}){% endif %}\"
",
    )
    .set("SECRET", &shop::secret())
}

fn order(id: &str) -> Value {
    json!({ "id": id, "wallet": address("alice").to_string(), "total": "1.10", "more": [1] })
}

#[tokio::test]
async fn one_order_is_one_message_however_often_and_whenever_it_is_posted() {
    let house = house();
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let shop = Shop::of(&herald, "shop/order");
    // The same delivery, many times at once.
    let posts = (0..10).map(|_| async { shop.posts("msg_1", &order("A")).await });
    assert_eq!(join_all(posts).await, vec!["msg_1"; 10]);
    // The same order under other delivery ids: the first one's occurrence.
    assert_eq!(shop.posts("msg_2", &order("A")).await, "msg_1");
    herald.count("delivered", 1).await;
    herald.kill();
    let herald = house.start().await;
    let shop = Shop::of(&herald, "shop/order");
    assert_eq!(shop.posts("msg_1", &order("A")).await, "msg_1");
    assert_eq!(shop.posts("msg_3", &order("A")).await, "msg_1");
    assert_eq!(shop.posts("msg_4", &order("B")).await, "msg_4");
    alice.reads(herald.address(), &["A: $1.10", "B: $1.10"]).await;
    assert_eq!((house.occurrences(), house.deliveries(&[]).await.len()), (2, 2));
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind() {
    let house = house();
    let herald = house.start().await;
    let shop = Shop::of(&herald, "shop/order");
    let text = order("A").to_string();
    let signed = |body: &str| Signed::new("msg", body);
    let with = |key: &str, value: Value| {
        let mut order = order("A");
        order[key] = value;
        Signed::new("msg", order.to_string())
    };
    let unsigned = |body: &str| Signed {
        signature: String::new(),
        ..signed(body)
    };
    let named = |id: &str| Signed {
        id: id.to_owned(),
        ..signed(&text)
    };
    let of_another = Signed {
        signature: signed("{}").signature,
        ..signed(&text)
    };
    // Signed as it should be, but beyond the rule's tolerance.
    let stale = Signed::at("msg", &*text, now().as_seconds() - 90);
    let ahead = Signed::at("msg", &*text, now().as_seconds() + 90);
    let large = " ".repeat(262_145);
    let refused = [
        (401, unsigned(&text)),
        (401, of_another),
        (401, named("other")),
        (401, named("")),
        (401, stale),
        (401, ahead),
        (413, signed(&large)),
        (413, unsigned(&large)),
        (400, signed("not json")),
        (400, signed("[]")),
        (400, with("total", json!("much"))),
        (400, with("wallet", json!("0x12"))),
        (400, with("id", json!(null))),
    ];
    for (status, request) in refused {
        let what = format!("{} {:.60}", request.signature, request.body);
        let answer = shop.post(request).await;
        assert_eq!(answer.status(), status, "{what}");
        let answer: Value = answer.json().await.unwrap();
        assert!(
            answer["error"].as_str().is_some_and(|error| error.len() > 5),
            "{what}: {answer}"
        );
    }
    // A request says which field was wrong.
    let answer: Value = shop
        .post(with("total", json!("much")))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(answer["field"], "body.total");
    for path in ["hooks/shop/other", "hooks/other/orders/new", "hooks", ""] {
        let url = format!("{}/{path}", herald.api());
        let answer = http().post(url).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    let got = http()
        .get(format!("{}/hooks/shop/orders/new", herald.api()))
        .send()
        .await
        .unwrap();
    assert_eq!(got.status(), 405);
    assert_eq!((house.occurrences(), house.deliveries(&[]).await.len()), (0, 0));

    // While the secret changes a sender signs with both; one that fits is enough. 256 KiB pass.
    let padded = format!("{text}{}", " ".repeat(262_144 - text.len()));
    let both = Signed::new("msg", padded);
    let both = Signed {
        signature: format!("v1,AAAA {}", both.signature),
        ..both
    };
    assert_eq!(shop.post(both).await.status(), 202);
    assert_eq!(house.occurrences(), 1);
}
