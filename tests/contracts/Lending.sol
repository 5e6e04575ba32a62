// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// A lending pool that tells the health of an account as Aave's does.
contract Lending {
    struct Account {
        uint256 debt;
        uint256 healthFactor;
        bool isBroken;
    }

    mapping(address => Account) private accounts;

    function set(address who, uint256 debt, uint256 healthFactor) external {
        accounts[who] = Account(debt, healthFactor, false);
    }

    /// From now on nothing can be told about this account.
    function breakFor(address who) external {
        accounts[who].isBroken = true;
    }

    function getUserAccountData(address who)
        external
        view
        returns (uint256 collateral, uint256 debt, uint256 free, uint256 threshold, uint256 ltv, uint256 hf)
    {
        Account storage account = accounts[who];
        require(!account.isBroken, "the price feed is stale");
        return (2 * account.debt, account.debt, account.debt / 2, 8250, 8000, account.healthFactor);
    }
}
