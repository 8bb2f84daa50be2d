use super::node::LEARNED_MAX;
use super::*;
use crate::topology::Role;
use crate::topology::samples::{self, A, B, E, F, read};
use crate::topology::{parse_slots, slot_table::SlotTable};

fn at(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn named(id: &str, endpoint: &str, aliases: &[&str]) -> SnapshotNode {
    SnapshotNode {
        id: id.into(),
        endpoint: (!endpoint.is_empty()).then(|| at(endpoint)),
        aliases: aliases.iter().map(|alias| at(alias)).collect(),
        role: Role::Primary,
        shard: 0,
        health_ok: true,
        config_epoch: None,
    }
}

fn view(nodes: Vec<SnapshotNode>) -> Snapshot {
    let nodes = nodes.into_iter().enumerate().map(|(at, node)| SnapshotNode { shard: at, ..node }).collect();
    Snapshot { nodes, ranges: Vec::new() }
}

fn endpoint(table: &NodeTable, index: NodeIndex) -> String {
    table.get(index).unwrap().endpoint().map_or_else(|| "-".into(), Endpoint::to_string)
}

fn aliases(table: &NodeTable, index: NodeIndex) -> Vec<String> {
    table.get(index).unwrap().aliases().map(Endpoint::to_string).collect()
}

#[test]
fn an_address_is_admitted_once() {
    let mut table = NodeTable::new();
    assert!(table.is_empty());
    assert_eq!(table.admit(&at("a:1")), Some(0));
    assert_eq!(table.admit(&at("b:1")), Some(1));
    assert_eq!(table.admit(&at("A:1")), Some(0), "host names know no case");
    assert_eq!((table.len(), table.by_endpoint(&at("a:2"))), (2, None));
    assert_eq!((table.get(0).unwrap().id(), table.get(0).unwrap().primary()), ("", None));
}

#[test]
fn a_seed_becomes_the_node_that_a_view_names_at_its_address() {
    for (seed, endpoint, others) in [
        ("10.0.0.1:7000", "10.0.0.1:7000", &["a.example:7000"][..]),
        ("a.example:7000", "10.0.0.1:7000", &["a.example:7000"][..]),
        ("10.0.0.1:7000", "a.example:7000", &["10.0.0.1:7000"][..]),
    ] {
        let mut table = NodeTable::new();
        let index = table.admit(&at(seed)).unwrap();
        assert_eq!(table.resolve(&named("x", endpoint, others)), Some(index), "{seed}");
        assert_eq!((table.len(), table.by_id("x")), (1, Some(index)));
        for address in ["10.0.0.1:7000", "a.example:7000"] {
            assert_eq!(table.admit(&at(address)), Some(index), "one node by {address} too");
        }
        assert_eq!(self::endpoint(&table, index), endpoint, "as announced");
    }
}

#[test]
fn what_a_seed_resolved_to_makes_it_the_node_at_that_ip() {
    let mut table = NodeTable::new();
    let seed = table.admit(&at("cache.example:7000")).unwrap();
    table.add_alias(seed, at("10.0.0.1:7000"));
    assert_eq!(table.resolve(&named("x", "10.0.0.1:7000", &[])), Some(seed));
    assert_eq!(endpoint(&table, seed), "10.0.0.1:7000");
    assert_eq!(aliases(&table, seed), ["cache.example:7000"], "what led to it still does");
    assert_eq!(table.admit(&at("cache.example:7000")), Some(seed));
    table.resolve(&named("x", "10.0.0.1:7000", &["a.example:7000"]));
    assert_eq!(aliases(&table, seed), ["a.example:7000", "cache.example:7000"]);
}

#[test]
fn two_seeds_of_one_server_end_as_one_node_and_a_second_name() {
    let mut table = NodeTable::new();
    let by_ip = table.admit(&at("10.0.0.1:7000")).unwrap();
    let by_name = table.admit(&at("a.example:7000")).unwrap();
    let snapshot = view(vec![named("x", "10.0.0.1:7000", &["a.example:7000"])]);
    let indices = table.resolve_all(&snapshot);
    assert_eq!(indices, [Some(by_ip)]);
    assert_eq!(table.by_endpoint(&at("a.example:7000")), Some(by_ip), "no longer the second");
    assert_eq!(table.absent_from(&indices), [by_name], "to be let go");
}

#[test]
fn seeds_that_no_view_names_are_absent() {
    let mut table = NodeTable::new();
    let proxy = table.admit(&at("proxy.example:6379")).unwrap();
    let snapshot = read(samples::SLOTS_RESP2, parse_slots).unwrap();
    let indices = table.resolve_all(&snapshot);
    assert_eq!(indices, (1..=6).map(Some).collect::<Vec<_>>());
    assert_eq!(table.absent_from(&indices), [proxy]);
}

#[test]
fn the_shard_of_every_node_is_noted() {
    let mut table = NodeTable::new();
    table.resolve_all(&read(samples::SLOTS_RESP2, parse_slots).unwrap());
    let index = |id: &str| table.by_id(id).unwrap();
    let node = |id| table.get(index(id)).unwrap();
    assert_eq!((node(F).role(), node(F).primary()), (Role::Replica, Some(index(A))));
    assert_eq!((node(A).role(), node(A).primary()), (Role::Primary, Some(index(A))));
}

#[test]
fn a_failover_changes_roles_and_not_indices() {
    let mut table = NodeTable::new();
    table.resolve_all(&read(samples::SLOTS_RESP2, parse_slots).unwrap());
    let before = table.by_id(E).unwrap();
    let text = samples::with_ids(samples::NODES_FAILED_OVER);
    let snapshot = crate::topology::parse_nodes(text.as_bytes(), &samples::asked()).unwrap();
    table.resolve_all(&snapshot);
    assert_eq!(table.by_id(E), Some(before));
    assert_eq!(table.get(before).unwrap().role(), Role::Primary);
    assert_eq!(table.get(before).unwrap().primary(), Some(before));
    assert!(!table.get(table.by_id(samples::C).unwrap()).unwrap().health_ok());
}

#[test]
fn a_node_that_got_a_new_address_is_still_the_same() {
    let mut table = NodeTable::new();
    let index = table.resolve(&named("x", "10.0.0.1:7000", &["old.example:7000"])).unwrap();
    assert_eq!(table.resolve(&named("x", "10.0.0.9:7000", &["new.example:7000"])), Some(index));
    assert_eq!(table.by_endpoint(&at("10.0.0.9:7000")), Some(index));
    for gone in ["10.0.0.1:7000", "old.example:7000"] {
        assert_eq!(table.by_endpoint(&at(gone)), None, "{gone} may be somebody else's by now");
    }
}

#[test]
fn a_new_id_at_a_known_address_is_another_node() {
    let mut table = NodeTable::new();
    let old = table.resolve(&named("x", "10.0.0.1:7000", &[])).unwrap();
    let new = table.resolve(&named("y", "10.0.0.1:7000", &[])).unwrap();
    assert_ne!(old, new);
    assert_eq!(table.by_endpoint(&at("10.0.0.1:7000")), Some(new));
    assert_eq!((endpoint(&table, old), endpoint(&table, new)), ("-".into(), "10.0.0.1:7000".into()));
}

#[test]
fn of_a_dead_node_and_its_successor_at_one_address_the_living_has_it() {
    let dead = SnapshotNode { health_ok: false, ..named("x", "10.0.0.1:7000", &[]) };
    let living = named("y", "10.0.0.1:7000", &[]);
    for nodes in [[dead.clone(), living.clone()], [living, dead]] {
        let mut table = NodeTable::new();
        let snapshot = view(nodes.to_vec());
        let indices = table.resolve_all(&snapshot);
        let living = table.by_id("y");
        assert_eq!(table.by_endpoint(&at("10.0.0.1:7000")), living);
        assert_eq!(indices.iter().flatten().count(), 1, "only one can be reached");
        assert!(indices.contains(&living));
        assert_eq!(table.resolve_all(&snapshot), indices, "and again");
    }
}

#[test]
fn a_node_without_address_keeps_the_one_another_view_told() {
    let mut table = NodeTable::new();
    let index = table.resolve(&named("x", "", &[])).unwrap();
    assert_eq!(table.resolve_all(&view(vec![named("x", "", &[])])), [None], "nobody knows where it is");
    table.resolve(&named("x", "10.0.0.1:7000", &[]));
    assert_eq!(table.resolve_all(&view(vec![named("x", "", &[])])), [Some(index)]);
    assert_eq!(endpoint(&table, index), "10.0.0.1:7000");
}

#[test]
fn a_seed_keeps_its_address_where_the_view_tells_none() {
    let mut table = NodeTable::new();
    let seed = table.admit(&at("10.0.0.1:7000")).unwrap();
    assert_eq!(table.resolve(&named("x", "", &["10.0.0.1:7000"])), Some(seed));
    assert_eq!(endpoint(&table, seed), "10.0.0.1:7000");
}

#[test]
fn a_second_name_of_one_node_does_not_become_another() {
    let mut table = NodeTable::new();
    table.admit(&at("10.0.0.1:7000"));
    let second = table.admit(&at("a.example:7000")).unwrap();
    table.resolve(&named("x", "10.0.0.1:7000", &[]));
    let x = table.resolve(&named("x", "a.example:7000", &[])).unwrap();
    let y = table.resolve(&named("y", "", &["a.example:7000"])).unwrap();
    assert!(y != second && y != x);
    assert_eq!(table.by_endpoint(&at("a.example:7000")), Some(x));
}

#[test]
fn views_without_ids_go_by_address() {
    let mut table = NodeTable::new();
    let seed = table.admit(&at("10.0.0.1:7000")).unwrap();
    assert_eq!(table.resolve(&named("", "10.0.0.1:7000", &[])), Some(seed));
    let other = table.resolve(&named("", "10.0.0.2:7000", &[]));
    assert_eq!(other, table.resolve(&named("", "10.0.0.2:7000", &[])));
    assert_eq!(table.len(), 2);
    table.resolve(&named("x", "10.0.0.1:7000", &[]));
    assert_eq!(table.resolve(&named("", "10.0.0.1:7000", &[])), Some(seed), "and take no id away");
    assert_eq!(table.get(seed).unwrap().id(), "x");
}

#[test]
fn an_alias_that_two_nodes_share_means_neither() {
    let mut table = NodeTable::new();
    let one = table.resolve(&named("x", "10.0.0.1:7000", &["lb.example:7000"]));
    assert_eq!(table.by_endpoint(&at("lb.example:7000")), one);
    let two = table.resolve(&named("y", "10.0.0.2:7000", &["lb.example:7000", "10.0.0.1:7000"]));
    assert_eq!(table.by_endpoint(&at("lb.example:7000")), None);
    assert_eq!(table.by_endpoint(&at("10.0.0.1:7000")), one, "being there comes before being called so");
    assert_ne!(one, two);
}

#[test]
fn admitting_afresh_takes_an_alias_but_not_an_address() {
    let mut table = NodeTable::new();
    let seed = table.admit(&at("cache.example:7000")).unwrap();
    table.add_alias(seed, at("10.0.0.1:7000"));
    table.resolve(&named("x", "10.0.0.1:7000", &[]));
    assert_eq!(table.admit_afresh(&at("10.0.0.1:7000")), Some(seed), "it is reached there");
    let fresh = table.admit_afresh(&at("cache.example:7000")).unwrap();
    assert_ne!(fresh, seed);
    assert_eq!(table.by_endpoint(&at("cache.example:7000")), Some(fresh));
    assert_eq!(aliases(&table, seed), Vec::<String>::new());
    assert_eq!(table.admit_afresh(&at("cache.example:7000")), Some(fresh), "once");
}

#[test]
fn nodes_that_exchange_their_addresses_keep_their_indices() {
    let mut table = NodeTable::new();
    let pair = vec![named("x", "10.0.0.1:7000", &[]), named("y", "10.0.0.2:7000", &[])];
    let indices = table.resolve_all(&view(pair));
    let [Some(x), Some(y)] = indices[..] else { panic!("{indices:?}") };
    assert_eq!(table.settle_at(&at("10.0.0.1:7000"), "y"), Some(y));
    assert_eq!((table.get(x).unwrap().endpoint(), endpoint(&table, y)), (None, "10.0.0.1:7000".to_owned()));
    assert_eq!(table.settle_at(&at("10.0.0.2:7000"), "x"), Some(x));
    assert_eq!(endpoint(&table, x), "10.0.0.2:7000");
    let new = table.settle_at(&at("10.0.0.2:7000"), "z").unwrap();
    assert!(new != x && new != y && table.get(x).unwrap().endpoint().is_none());
    table.forget_id(new);
    assert_eq!((table.by_id("z"), table.by_endpoint(&at("10.0.0.2:7000"))), (None, Some(new)));
}

#[test]
fn a_removed_node_is_not_found_and_its_index_not_used_until_released() {
    let mut table = NodeTable::new();
    let index = table.resolve(&named("x", "a:1", &["b:1"])).unwrap();
    assert!(!table.release(index), "it is live");
    assert!(table.remove(index));
    assert!(!table.remove(index), "once");
    assert_eq!(
        (table.by_id("x"), table.by_endpoint(&at("a:1")), table.by_endpoint(&at("b:1"))),
        (None, None, None)
    );
    assert_eq!(table.get(index).unwrap().id(), "x", "still to be named in messages");
    assert!(!table.is_live(index));
    let successor = table.resolve(&named("x", "a:1", &[])).unwrap();
    assert_ne!(successor, index);
    assert!(table.release(index));
    assert!(!table.release(index), "once");
    assert!(table.get(index).is_none());
    assert_eq!(table.admit(&at("c:1")), Some(index));
    assert!(!table.remove(77) && !table.release(77) && table.get(77).is_none());
}

#[test]
fn removing_one_of_two_names_of_a_server_leaves_the_other() {
    let mut table = NodeTable::new();
    let node = table.admit(&at("10.0.0.1:7000")).unwrap();
    let second = table.admit(&at("a.example:7000")).unwrap();
    table.resolve(&named("x", "10.0.0.1:7000", &["a.example:7000"]));
    assert!(table.remove(second));
    assert_eq!((table.by_id("x"), table.by_endpoint(&at("a.example:7000"))), (Some(node), Some(node)));
}

#[test]
fn another_clusters_view_has_no_id_in_common() {
    let mut table = NodeTable::new();
    let snapshot = read(samples::SLOTS_RESP2, parse_slots).unwrap();
    assert_eq!(table.ids_in_common(&snapshot), 0);
    table.resolve(&named(B, "10.9.9.9:1", &[]));
    assert_eq!(table.ids_in_common(&snapshot), 1);
    assert_eq!(table.ids_in_common(&view(vec![named("", "a:1", &[])])), 0);
}

#[test]
fn learned_addresses_do_not_grow_without_end() {
    let mut table = NodeTable::new();
    let index = table.admit(&at("a:1")).unwrap();
    table.add_alias(index, at("a:1"));
    table.add_alias(index, at("b:1"));
    table.add_alias(index, at("b:1"));
    assert_eq!(aliases(&table, index), ["b:1"]);
    for port in 2..100 {
        table.add_alias(index, Endpoint::new("a", port));
        table.add_alias(index, Endpoint::new("a", port));
    }
    assert_eq!(aliases(&table, index).len(), LEARNED_MAX);
    assert!(table.by_address("a", 99) == Some(index) && table.by_address("a", 2).is_none());
}

#[test]
fn a_full_table_admits_nobody_and_still_knows_everybody() {
    let mut table = NodeTable::new();
    table.entries = vec![Entry::Live(Node::at(None)); NODE_TABLE_MAX - 1];
    let last = table.admit(&at("a:1")).unwrap();
    assert_eq!(table.admit(&at("b:1")), None);
    assert_eq!(table.resolve(&named("x", "b:1", &[])), None);
    assert_eq!(table.admit(&at("a:1")), Some(last));
    assert_eq!(
        table.resolve_all(&view(vec![named("y", "b:1", &[]), named("x", "a:1", &[])])),
        [None, Some(last)]
    );
}

#[test]
fn every_index_fits_a_slot_table() {
    let mut slots = SlotTable::new();
    let highest = NodeIndex::try_from(NODE_TABLE_MAX - 1).unwrap();
    slots.set(0, Some(highest));
    assert_eq!(slots.get(0), Some(highest));
}

/// Whatever views come, an id is one live node, and what is found at an address is there.
#[test]
fn random_views_keep_the_table_consistent() {
    for seed in 1..=60 {
        let mut random = samples::Random(seed);
        let mut table = NodeTable::new();
        for _ in 0..60 {
            let address =
                |random: &mut samples::Random| format!("h{}:{}", random.below(4), 1 + random.below(3));
            match random.below(8) {
                0 => drop(table.admit(&at(&address(&mut random)))),
                1 => drop(table.admit_afresh(&at(&address(&mut random)))),
                2 => {
                    let index = random.below(12) as NodeIndex;
                    table.remove(index);
                    if random.below(2) == 0 {
                        table.release(index);
                    }
                }
                3 => table.add_alias(random.below(12) as NodeIndex, at(&address(&mut random))),
                4 => {
                    let (address, id) = (at(&address(&mut random)), ["w", "x", "y"][random.below(3)]);
                    let index = table.settle_at(&address, id).expect("room");
                    assert_eq!((table.by_id(id), table.by_endpoint(&address)), (Some(index), Some(index)));
                }
                5 => {
                    let address = at(&address(&mut random));
                    table.vacate(&address, "nobody");
                    assert!(
                        table
                            .iter()
                            .all(|(_, node)| node.id.is_empty() || node.endpoint != Some(address.clone()))
                    );
                }
                6 => table.forget_id(random.below(12) as NodeIndex),
                _ => {
                    let nodes = (0..1 + random.below(4)).map(|_| {
                        let id = ["", "x", "y", "z"][random.below(4)];
                        let place = if random.below(5) == 0 { String::new() } else { address(&mut random) };
                        let mut node = named(id, &place, &[&address(&mut random)]);
                        node.health_ok = random.below(3) > 0;
                        node
                    });
                    let indices = table.resolve_all(&view(nodes.collect()));
                    assert!(indices.iter().flatten().all(|&index| table.is_live(index)));
                }
            }
            check(&table);
        }
    }
}

fn check(table: &NodeTable) {
    for (index, node) in table.iter() {
        if !node.id.is_empty() {
            assert_eq!(table.by_id(&node.id), Some(index), "one live node for an id");
        }
        if let Some(endpoint) = &node.endpoint {
            let found = table.by_endpoint(endpoint).expect("somebody is there");
            assert!(table.get(found).unwrap().is_at(&endpoint.host, endpoint.port) || node.id.is_empty());
            assert!(node.id.is_empty() || found == index, "one node with an id at an address");
            assert!(!node.learned.contains(endpoint));
        }
        assert!(node.learned.len() <= LEARNED_MAX);
    }
    assert_eq!(table.by_id.len(), table.iter().filter(|(_, node)| !node.id.is_empty()).count());
}
